//! Commands, the shell, and the object graph.
