import KernelsPortable

public typealias Implementation = KernelsPortable.Implementation
