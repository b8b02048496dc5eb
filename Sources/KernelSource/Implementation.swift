/// The functions that the table in `KernelTables` lists, for the instruction set that this module is compiled for.
public enum Implementation {
    /// Floats of a vector.
    public static var vectorLanes: Int { lanes }
}
