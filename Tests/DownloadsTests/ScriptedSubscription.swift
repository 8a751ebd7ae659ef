import FunctionKit
import NIOCore
import Synchronization

/// A subscription that delivers what a test tells it to.
final class ScriptedSubscription: ChannelSubscription {
    private struct State {
        var batches: [[ChannelElement]] = []
        var isFinished = false
        var reader: CheckedContinuation<[ChannelElement], Never>?
    }

    private let state = Mutex(State())

    func deliver(_ elements: ChannelElement...) {
        let reader = state.withLock { state -> CheckedContinuation<[ChannelElement], Never>? in
            guard let reader = state.reader.take() else {
                state.batches.append(elements)
                return nil
            }
            return reader
        }
        reader?.resume(returning: elements)
    }

    func next() async -> [ChannelElement] {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let elements = state.withLock { state -> [ChannelElement]? in
                    if !state.batches.isEmpty { return state.batches.removeFirst() }
                    if state.isFinished { return [] }
                    state.reader = continuation
                    return nil
                }
                if let elements { continuation.resume(returning: elements) }
            }
        } onCancel: {
            cancel()
        }
    }

    func cancel() {
        let reader = state.withLock { state in
            state.isFinished = true
            return state.reader.take()
        }
        reader?.resume(returning: [])
    }
}
