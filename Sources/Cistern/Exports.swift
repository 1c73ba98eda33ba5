// One import gives a Swift user all the types that appear in `Heap`'s interface.
@_exported import HeapCore
@_exported import Limits
@_exported import Regions
@_exported import Ticks
@_exported import VirtualMemory
