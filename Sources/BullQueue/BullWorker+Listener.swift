internal import FunctionKit
internal import NIOCore
internal import RedisClient
internal import Synchronization

extension BullWorker {
    /// The agreement between the dispatcher, which says when to wait for a marker, and the listener, which does.
    struct ListenerState {
        var isWanted = false
        var isBlocked = false
    }

    /// Waits for wake-up markers whenever the dispatcher asks for it; ends with the worker.
    func listen(_ connection: RedisBlockingConnection) async {
        let seconds = "\(Double(options.drainDelay.wholeMilliseconds) / 1000)"
        let command = RedisCommand(["BZPOPMIN", keys.marker, seconds])
        var failures = 0
        while true {
            let isEnded = state.withLock { state in
                state.listening.isBlocked = state.listening.isWanted && state.phase == .working
                return state.phase == .ended
            }
            if isEnded { return }
            guard state.withLock({ $0.listening.isBlocked }) else {
                await listenerWakeUp.wait(until: nil, timers: timers)
                continue
            }
            var marker: (member: String, score: String)?
            do {
                let reply = try await connection.send(command, deadline: options.drainDelay + .seconds(1))
                failures = 0
                if let parts = reply.array, parts.count == 3, let member = parts[1].string, let score = parts[2].string
                {
                    marker = (member, score)
                }
            } catch {
                failures = min(failures + 1, 6)
                logger.debug("waiting for markers failed", metadata: ["error": "\(error)"])
            }
            let isUseful = tellDispatcher(marker?.score)
            if let marker, !isUseful { await putBack(marker) }
            let pauseEnd = NIODeadline.now() + .milliseconds(failures > 0 ? 50 << failures : 0)
            while NIODeadline.now() < pauseEnd, state.withLock({ $0.phase == .working }) {
                await listenerWakeUp.wait(until: pauseEnd, timers: timers)
            }
        }
    }

    /// Returns whether the worker can use what the marker tells; else the marker is for another worker.
    private func tellDispatcher(_ score: String?) -> Bool {
        var isUseful = false
        state.withLock { state in
            isUseful = state.phase == .working && state.runs.count + state.occupied < options.concurrency
            // The lane with most free places; when it gets all that it asks for, it calls the other.
            let lane = state.lanes.indices.min { state.lanes[$0].runningCount < state.lanes[$1].runningCount } ?? 0
            state.listening.isBlocked = false
            state.listening.isWanted = false
            let due = score.flatMap(Double.init) ?? 0
            if due > Double(Timestamp.now.milliseconds) {
                // Which lane will have a place by then is not known.
                for lane in state.lanes.indices { state.lanes[lane].due = Int64(min(due, 9e15)) }
            } else {
                state.lanes[lane].isCalled = true
            }
        }
        wakeDispatchers()
        return isUseful
    }

    /// A marker that came when every place was taken already, or when the worker was ending.
    private func putBack(_ marker: (member: String, score: String)) async {
        do {
            _ = try await client.send(RedisCommand(["ZADD", keys.marker, marker.score, marker.member]))
        } catch {
            logger.debug("a marker was not put back", metadata: ["error": "\(error)"])
        }
    }
}
