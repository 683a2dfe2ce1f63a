// The page of the chat. What others write is put into the page as text, never as HTML.
"use strict";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
const LONGEST_LOG = 500;

const at = (id) => document.getElementById(id);
const [state, log, members, refusal] = ["state", "log", "members", "refusal"].map(at);
const [enter, speak, name, text] = ["enter", "speak", "name", "text"].map(at);

let socket = null;
/// The name that was asked for, and the one that the server gave.
let wanted = "";
let me = null;
let here = new Set();
let wait = FIRST_WAIT;
let timer = null;

function connect() {
  clearTimeout(timer);
  show("connecting", "connecting …");
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(`${scheme}//${location.host}/ws`);
  socket.onopen = () => send({ type: "name", name: wanted });
  socket.onmessage = (event) => hear(JSON.parse(event.data));
  socket.onclose = (event) => lost(event);
}

function send(message) {
  socket.send(JSON.stringify(message));
}

// Who was let in comes back by itself, later each time, and not all at the same moment.
function lost(event) {
  const was = me;
  [socket, me, here] = [null, null, new Set()];
  showMembers();
  speak.querySelector("button").disabled = true;
  if (was !== null) {
    notice(event.code === 1001 ? "the server has ended" : `the connection has ended (${event.code})`);
  }
  if (enter.hidden || wanted !== "") {
    const delay = wait * (0.75 + Math.random() / 2);
    wait = Math.min(wait * 2, LONGEST_WAIT);
    show("waiting", `no connection: again in ${Math.ceil(delay / 1000)} s`);
    timer = setTimeout(connect, delay);
  } else {
    show("closed", "not connected");
  }
}

function hear(told) {
  switch (told.type) {
    case "welcome":
      [me, wanted, here, wait] = [told.name, told.name, new Set(told.members), FIRST_WAIT];
      remember(me);
      show("open", `connected as ${me}`);
      showForm(speak);
      break;
    case "refused":
      refuse(told.reason);
      break;
    case "said":
      add(told.from === me ? "mine" : "", told.from, told.text);
      break;
    case "came":
      here.add(told.name);
      notice(`${told.name} is here`);
      break;
    case "left":
      here.delete(told.name);
      notice(`${told.name} has left`);
      break;
    case "renamed":
      here.delete(told.from);
      here.add(told.name);
      notice(`${told.from} is ${told.name} now`);
      break;
    case "missed":
      here = new Set(told.members);
      notice(`you were too slow for ${told.count} messages`);
      break;
  }
  showMembers();
}

// A name that is not to be had: another one is asked for.
function refuse(reason) {
  refusal.textContent = reason;
  refusal.hidden = false;
  if (me === null) {
    wanted = "";
    show("closed", "connected, without a name");
    showForm(enter);
  }
}

function show(kind, words) {
  state.dataset.state = kind;
  state.textContent = words;
}

function showForm(form) {
  for (const other of [enter, speak]) {
    other.hidden = other !== form;
  }
  if (form === speak) {
    refusal.hidden = true;
    speak.querySelector("button").disabled = false;
  }
  form.querySelector("input").focus();
}

function showMembers() {
  const items = [...here].sort().map((member) => {
    const item = document.createElement("li");
    item.textContent = member;
    item.classList.toggle("me", member === me);
    return item;
  });
  members.replaceChildren(...items);
}

function notice(words) {
  add("notice", null, words);
}

function add(kind, from, words) {
  const item = document.createElement("li");
  item.className = kind;
  if (from !== null) {
    const who = document.createElement("b");
    who.textContent = from;
    item.append(who);
  }
  const what = document.createElement("span");
  what.textContent = words;
  item.append(what);
  // Who has scrolled up reads on undisturbed.
  const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(item);
  while (log.children.length > LONGEST_LOG) {
    log.firstChild.remove();
  }
  if (follows) {
    log.scrollTop = log.scrollHeight;
  }
}

// A browser may be set to keep nothing: then the name is typed again.
function remember(value) {
  try {
    localStorage.setItem("name", value);
  } catch {}
}

function remembered() {
  try {
    return localStorage.getItem("name") ?? "";
  } catch {
    return "";
  }
}

enter.addEventListener("submit", (event) => {
  event.preventDefault();
  wanted = name.value.trim();
  refusal.hidden = true;
  if (socket === null) {
    wait = FIRST_WAIT;
    connect();
  } else if (socket.readyState === WebSocket.OPEN) {
    send({ type: "name", name: wanted });
  }
});

speak.addEventListener("submit", (event) => {
  event.preventDefault();
  const words = text.value.trim();
  if (me !== null && words !== "") {
    send({ type: "say", text: words });
    text.value = "";
  }
});

window.addEventListener("online", () => {
  if (socket === null && wanted !== "") {
    connect();
  }
});

name.value = remembered();
