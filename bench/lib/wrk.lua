-- What wrk found, as one object of JSON; times in microseconds.
function done(summary, latency, requests)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    local line = '{"requests": %d, "seconds": %f, "errors": %d, "p50": %d, "p90": %d, "p99": %d, "p99.9": %d, "max": %d}\n'
    io.write(line:format(summary.requests, summary.duration / 1e6, failed, latency:percentile(50),
        latency:percentile(90), latency:percentile(99), latency:percentile(99.9), latency.max))
end
