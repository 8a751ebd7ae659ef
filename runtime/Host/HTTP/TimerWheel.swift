internal import NIOCore

/// Something with a deadline that a ``TimerWheel`` watches. Belongs to one loop.
class TimerEntry {
    /// When ``deadlinePassed(_:)`` is due. May be moved later at no cost: the wheel looks again when the old time comes.
    fileprivate(set) var deadline = NIODeadline.distantFuture
    fileprivate var tick = UInt64.max
    fileprivate var next: TimerEntry?
    fileprivate unowned(unsafe) var previous: TimerEntry?
    // `previous` is valid whenever it is not nil: an entry is taken out of its list before it can go away, since the list
    // holds it from the other side.

    /// Called on the loop when the deadline has passed. The entry is then unwatched until it gets a new deadline.
    func deadlinePassed(_ now: NIODeadline) {}
}

/// The deadlines of one loop's connections, in steps of 64 ms.
///
/// A connection always has exactly one deadline, which moves later with nearly every request. So a deadline that moves
/// later costs one assignment; the entry stays in its slot and is put into another when that slot comes up. The loop
/// itself has one timer, and none while nothing is watched. Compared with one scheduled task a connection, nothing is
/// allocated a request, closing gives everything back at once, and an idle loop wakes only when a slot is due.
final class TimerWheel {
    private static let slotCount: UInt64 = 1024
    private static let tickNanoseconds: UInt64 = 64_000_000

    private let loop: any EventLoop
    private var slots = [TimerEntry?](repeating: nil, count: Int(slotCount))
    private var count = 0
    /// The last tick whose slot was emptied.
    private var current: UInt64
    private var wake: (tick: UInt64, task: Scheduled<Void>)?
    /// While the wheel turns nothing is scheduled: the end of the turn knows what is due next.
    private var isTurning = false

    init(_ loop: any EventLoop) {
        self.loop = loop
        current = TimerWheel.tick(before: .now())
    }

    /// Sets an entry's deadline.
    func set(_ entry: TimerEntry, to deadline: NIODeadline) {
        entry.deadline = deadline
        let due = TimerWheel.tick(after: deadline)
        guard due < entry.tick else { return }
        if entry.tick != .max { unlink(entry) }
        link(entry, due)
    }

    /// Stops watching an entry.
    func remove(_ entry: TimerEntry) {
        if entry.tick != .max { unlink(entry) }
    }

    /// All entries, in no order.
    var entries: [TimerEntry] {
        var all: [TimerEntry] = []
        all.reserveCapacity(count)
        for slot in slots {
            var entry = slot
            while let current = entry {
                all.append(current)
                entry = current.next
            }
        }
        return all
    }

    private static func tick(before time: NIODeadline) -> UInt64 { time.uptimeNanoseconds / tickNanoseconds }

    private static func tick(after time: NIODeadline) -> UInt64 {
        time.uptimeNanoseconds / tickNanoseconds + 1
    }

    private func link(_ entry: TimerEntry, _ due: UInt64) {
        if count == 0 { current = TimerWheel.tick(before: .now()) }
        // Beyond the wheel's reach it goes into the last slot and is looked at again there.
        let tick = min(max(due, current + 1), current + TimerWheel.slotCount - 1)
        let slot = Int(tick % TimerWheel.slotCount)
        entry.tick = tick
        entry.next = slots[slot]
        entry.next?.previous = entry
        entry.previous = nil
        slots[slot] = entry
        count += 1
        if !isTurning, tick < wake?.tick ?? .max { scheduleWake(tick) }
    }

    private func unlink(_ entry: TimerEntry) {
        if let previous = entry.previous {
            previous.next = entry.next
        } else {
            slots[Int(entry.tick % TimerWheel.slotCount)] = entry.next
        }
        entry.next?.previous = entry.previous
        entry.next = nil
        entry.previous = nil
        entry.tick = .max
        count -= 1
    }

    private func scheduleWake(_ tick: UInt64) {
        wake?.task.cancel()
        let bound = NIOLoopBound(self, eventLoop: loop)
        let time = NIODeadline.uptimeNanoseconds(tick * TimerWheel.tickNanoseconds)
        wake = (tick, loop.scheduleTask(deadline: time) { bound.value.turn() })
    }

    private func turn() {
        wake = nil
        isTurning = true
        let now = NIODeadline.now()
        let last = TimerWheel.tick(before: now)
        // After a long pause every slot is due once.
        let first = max(current + 1, last >= TimerWheel.slotCount ? last - TimerWheel.slotCount + 1 : 0)
        if first <= last {
            for tick in first...last {
                let slot = Int(tick % TimerWheel.slotCount)
                current = tick
                var due: [TimerEntry] = []
                while let entry = slots[slot] {
                    unlink(entry)
                    due.append(entry)
                }
                for entry in due {
                    if entry.deadline <= now { entry.deadlinePassed(now) } else { set(entry, to: entry.deadline) }
                }
            }
        }
        isTurning = false
        guard count > 0 else { return }
        for ahead in 1...TimerWheel.slotCount where slots[Int((current + ahead) % TimerWheel.slotCount)] != nil {
            return scheduleWake(current + ahead)
        }
    }
}
