"""The whole road on one machine, offline: data, vocabulary, training, export, serving."""
