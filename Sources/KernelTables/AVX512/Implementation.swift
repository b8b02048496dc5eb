import KernelsAVX512

public typealias Implementation = KernelsAVX512.Implementation
