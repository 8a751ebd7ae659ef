import Testing

@testable import ObjectStorage

@Suite struct S3XMLTests {
    @Test func readsAReply() throws {
        let text = """
            \u{FEFF}<?xml version="1.0" encoding="UTF-8"?>
            <!-- a comment with <tags> -->
            <ns:ListBucketResult xmlns:ns="http://s3.amazonaws.com/doc/2006-03-01/" note='a > b'>
              <Name>bucket</Name><Prefix/><Empty></Empty>
              <Contents><Key>a &amp; b &lt;&gt; &quot;&apos; &#38; &#x1F600;</Key><Size>1</Size></Contents>
              <Contents ><Key><![CDATA[raw <&> text]]></Key><Size>2</Size></Contents >
            </ns:ListBucketResult>

            """
        let root = try S3XMLElement(parsing: text.utf8)
        #expect(root.name == "ListBucketResult")
        #expect(root["Name"] == "bucket" && root["Prefix"] == "" && root["Empty"] == "" && root["Other"] == nil)
        #expect(root.all("Contents").map { $0["Key"] } == ["a & b <> \"' & 😀", "raw <&> text"])
    }

    @Test func readsAnEmptyRoot() throws {
        #expect(try S3XMLElement(parsing: "<A/>".utf8).name == "A")
    }

    @Test(arguments: [
        "", "text", "<a>", "<a></b>", "</a>", "<a/><b/>", "<a>x</a>y", "x<a/>", "<a", "<a b='>", "<a>&nope;</a>",
        "<a>&amp</a>", "<a>&#xD800;</a>", "<!DOCTYPE a><a/>", "<a><![CDATA[x</a>", "<a><!-- x</a>", "<>x</>",
        "<a><</a>",
        "<?xml", "<a>&#99999999999;</a>",
    ])
    func refuses(_ text: String) {
        #expect(throws: S3XMLReader.Failure.self) { try S3XMLElement(parsing: text.utf8) }
    }

    @Test func refusesDeepNestingAndWrongUTF8AndEveryTruncation() throws {
        let depth = S3XMLReader.maximumDepth
        let nested = { String(repeating: "<a>", count: $0) + String(repeating: "</a>", count: $0) }
        _ = try S3XMLElement(parsing: nested(depth).utf8)
        #expect(throws: S3XMLReader.Failure.self) { try S3XMLElement(parsing: nested(depth + 1).utf8) }
        #expect(throws: S3XMLReader.Failure.self) {
            try S3XMLElement(parsing: Array("<a>".utf8) + [0xFF] + Array("</a>".utf8))
        }
        let bytes = Array("<?xml version='1.0'?><Error a=\"1\"><Code>X&amp;Y</Code><![CDATA[z]]></Error>".utf8)
        for count in bytes.indices {
            #expect(throws: S3XMLReader.Failure.self, "\(count)") { try S3XMLElement(parsing: bytes[..<count]) }
        }
    }
}
