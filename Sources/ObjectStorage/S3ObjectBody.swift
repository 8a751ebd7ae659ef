internal import FunctionKit
internal import NIOCore

/// The bytes of an object on their way. Letting go of it closes the connection.
struct S3ObjectBody: AsyncSequence, Sendable {
    typealias Element = ByteBuffer
    typealias Failure = any Error

    /// Gives the exchange up when the last one who could read it has gone.
    fileprivate final class Owner: Sendable {
        let exchange: S3Exchange
        init(_ exchange: S3Exchange) { self.exchange = exchange }
        deinit { exchange.abandon() }
    }

    private let owner: Owner?
    private let length: Int64

    /// The body of an exchange; without one there are no bytes.
    init(exchange: S3Exchange?, length: Int64) {
        owner = exchange.map { Owner($0) }
        self.length = length
    }

    func makeAsyncIterator() -> Iterator { Iterator(owner: owner, remaining: length) }

    struct Iterator: AsyncIteratorProtocol {
        fileprivate let owner: Owner?
        fileprivate var remaining: Int64

        mutating func next() async throws -> ByteBuffer? {
            guard let owner else { return nil }
            do {
                guard let chunk = try await owner.exchange.next() else {
                    guard remaining == 0 else {
                        throw S3Error(.transport, "GET object failed: the body ended early")
                    }
                    return nil
                }
                remaining -= Int64(chunk.readableBytes)
                return chunk
            } catch {
                throw S3ObjectStore.error(error, in: "GET object")
            }
        }

        mutating func next(isolation actor: isolated (any Actor)?) async throws -> ByteBuffer? { try await next() }
    }
}
