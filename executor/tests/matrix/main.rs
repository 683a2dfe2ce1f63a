//! Every way in which a task can end: panics × abort × what becomes of the handle, enumerated, each against a model. For
//! tasks that are spawned, those of a set, those that come from another thread, and children of a scope.

mod handle;
mod join_set;
mod scope;
mod spawn;
mod subject;
