import Formats
import Networks

/// How pictures of the data become images: converted, cropped to the centred square, resized. What makes a picture smaller is
/// done when it is read, what makes it larger for each batch, so that memory holds the fewer bytes.
struct Preparation {
    /// The shape of what is kept, [H, W, C] bytes.
    let kept: Shape
    let image: Shape

    init(_ data: DataFormat, _ image: Shape) {
        self.image = image
        let target = ImageSize(height: image.height, width: image.width)
        var size = target
        if let own = data.size, own != target {
            let side = min(own.height, own.width)
            // Squares of a side, or images larger than they.
            size = side < target.height ? ImageSize(side: side) : target
        }
        kept = Shape(channels: min(data.channels, image.channels), size)
    }

    /// What is kept of a picture, [H, W, C].
    func keep(_ picture: Picture) -> [UInt8] {
        var picture = picture.channels == kept.channels ? picture : picture.converted(toChannels: kept.channels)
        if (picture.height, picture.width) != (kept.height, kept.width) {
            picture = picture.croppedToSquare()
            if picture.height != kept.height { picture = picture.resized(height: kept.height, width: kept.width) }
        }
        return picture.pixels
    }

    /// An image of what is kept of a picture.
    func image(of bytes: [UInt8]) -> Picture {
        var picture = Picture(channels: kept.channels, height: kept.height, width: kept.width, pixels: bytes)
        if kept.height != image.height { picture = picture.resized(height: image.height, width: image.width) }
        return picture.channels == image.channels ? picture : picture.converted(toChannels: image.channels)
    }
}
