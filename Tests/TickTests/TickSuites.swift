@_exported import TestSupport
import Testing

/// Everything in this folder, one test at a time: some count what a heap holds.
@Suite(.serialized)
enum TickSuites {}
