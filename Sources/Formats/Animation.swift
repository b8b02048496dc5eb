/// A film of pictures of one shape, written frame by frame to a file that appears when it is complete.
public protocol AnimationWriter: AnyObject {
    /// Appends a picture that is shown for so many seconds.
    /// - Precondition: it has the shape of the first one.
    /// - Throws: `FormatError` of kind `io`.
    func append(_ picture: Picture, seconds: Double) throws
    /// Ends the file, and gives it its name.
    /// - Precondition: there is a picture.
    /// - Throws: `FormatError` of kind `io`.
    func finish() throws
}
