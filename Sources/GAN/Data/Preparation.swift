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
}

/// Makes images of what is kept of pictures, in space for one of them.
final class ImageExpansion {
    private let preparation: Preparation
    /// How what is kept gets the images' size, if it has another.
    private let resizing: (resize: BilinearResize, image: UnsafeMutablePointer<UInt8>, workspace: UnsafeMutablePointer<UInt8>)?
    /// Grey pictures become images of three equal channels here, if they do.
    private let colours: UnsafeMutablePointer<UInt8>?

    init(_ preparation: Preparation) {
        self.preparation = preparation
        let (kept, image) = (preparation.kept, preparation.image)
        if (kept.height, kept.width) == (image.height, image.width) {
            resizing = nil
        } else {
            let resize = BilinearResize(
                from: (width: kept.width, height: kept.height), to: (width: image.width, height: image.height),
                channels: kept.channels)
            resizing = (resize, .allocate(capacity: image.pixels * kept.channels), .allocate(capacity: resize.workspaceCount))
        }
        colours = kept.channels == image.channels ? nil : .allocate(capacity: image.features)
    }

    deinit {
        resizing?.image.deallocate()
        resizing?.workspace.deallocate()
        colours?.deallocate()
    }

    /// The image, [H, W, C], of what `Preparation.keep` gives; valid until the next call.
    func image(of kept: UnsafePointer<UInt8>) -> UnsafePointer<UInt8> {
        var pixels = kept
        if let resizing {
            resizing.resize(pixels, into: resizing.image, workspace: resizing.workspace)
            pixels = UnsafePointer(resizing.image)
        }
        if let colours {
            let channels = preparation.image.channels
            for index in 0..<preparation.image.features { colours[index] = pixels[index / channels] }
            pixels = UnsafePointer(colours)
        }
        return pixels
    }
}
