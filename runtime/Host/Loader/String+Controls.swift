extension String {
    /// The text with control characters, which could change a terminal, spelled out: a reason may quote what stands in a
    /// file. Ends of lines stay, for a compiler's words have several.
    var spellingOutControls: String {
        func isControl(_ scalar: Unicode.Scalar) -> Bool {
            switch scalar.properties.generalCategory {
            case .control where scalar == "\n": false
            case .control, .lineSeparator, .paragraphSeparator, .format: true
            default: false
            }
        }
        guard unicodeScalars.contains(where: isControl) else { return self }
        return unicodeScalars.reduce(into: "") { text, scalar in
            if isControl(scalar) {
                text += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
    }
}
