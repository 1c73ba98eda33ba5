import Testing

/// Everything in this folder, one test at a time: many of them fork, count mappings or want both processors.
@Suite(.serialized)
enum HeapSuites {}
