/// A page of the listing of multipart uploads.
struct UploadPage {
    private(set) var uploads: [S3FileStore.Upload] = []
    private(set) var prefixes: [String] = []
    private(set) var isTruncated = false
    /// What the next page comes after; the id is empty for a common prefix.
    private(set) var last: (key: String, id: String)?

    /// - Parameters:
    ///   - all: In order of their keys and times.
    ///   - prefix: What the keys begin with.
    ///   - delimiter: As in the listing of objects; empty for none.
    ///   - keyMarker: Only keys after it, and uploads of itself that come after the id's.
    ///   - idMarker: An upload of the key marker.
    ///   - limit: The most to list.
    init(
        _ all: [S3FileStore.Upload], prefix: String, delimiter: String, keyMarker: String, idMarker: String, limit: Int
    ) {
        let rollUp = S3FileStore.RollUp(prefix: prefix, delimiter: delimiter)
        let marker = ObjectKey(keyMarker)
        // With an id, uploads of the marker's own key go on after that upload.
        var isPast = marker == nil
        for upload in all where upload.key.text.utf8.starts(with: prefix.utf8) {
            if !isPast, let marker {
                if upload.key < marker { continue }
                if upload.key == marker {
                    if !idMarker.isEmpty, upload.id == idMarker { isPast = true }
                    continue
                }
                isPast = true
            }
            let common = rollUp.commonPrefix(of: upload.key.text)
            if let common, prefixes.last == common || common == keyMarker { continue }
            guard uploads.count + prefixes.count < limit else {
                isTruncated = limit > 0
                return
            }
            if let common {
                prefixes.append(common)
                last = (common, "")
            } else {
                uploads.append(upload)
                last = (upload.key.text, upload.id)
            }
        }
    }
}
