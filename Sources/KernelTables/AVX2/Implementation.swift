import KernelsAVX2

public typealias Implementation = KernelsAVX2.Implementation
