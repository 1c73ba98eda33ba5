@_exported import TestSupport
import Testing

/// Everything in this folder, one test at a time: some of them fork.
@Suite(.serialized)
enum RegionSuites {}
