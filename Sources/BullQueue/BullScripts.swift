internal import FunctionKit

/// The Lua of each operation: its own file under `Scripts`, joined with the shared steps that it names.
enum BullScripts {
    static let addJobs = joined("addJobs", PackageResources.addJobs_lua)
    static let addFlow = joined("addFlow", PackageResources.addFlow_lua)
    static let fetchJobs = joined("fetchJobs", PackageResources.fetchJobs_lua)
    static let finishJobs = joined("finishJobs", PackageResources.finishJobs_lua)
    static let retryJob = joined("retryJob", PackageResources.retryJob_lua)
    static let delayJob = joined("delayJob", PackageResources.delayJob_lua)
    static let waitForChildren = joined("waitForChildren", PackageResources.waitForChildren_lua)
    static let handBackJob = joined("handBackJob", PackageResources.handBackJob_lua)
    static let extendLocks = joined("extendLocks", PackageResources.extendLocks_lua)
    static let recoverStalled = joined("recoverStalled", PackageResources.recoverStalled_lua)
    static let recoverLost = joined("recoverLost", PackageResources.recoverLost_lua)
    static let releaseEvents = joined("releaseEvents", PackageResources.releaseEvents_lua)
    static let lookAtQueue = joined("lookAtQueue", PackageResources.lookAtQueue_lua)
    static let updateProgress = joined("updateProgress", PackageResources.updateProgress_lua)
    static let readEvents = joined("readEvents", PackageResources.readEvents_lua)
    static let requeueJob = joined("requeueJob", PackageResources.requeueJob_lua)
    static let findJobs = joined("findJobs", PackageResources.findJobs_lua)
    static let withdrawJob = joined("withdrawJob", PackageResources.withdrawJob_lua)
    static let removeJobs = joined("removeJobs", PackageResources.removeJobs_lua)
    static let pauseQueue = joined("pauseQueue", PackageResources.pauseQueue_lua)
    static let resumeQueue = joined("resumeQueue", PackageResources.resumeQueue_lua)
    static let drainQueue = joined("drainQueue", PackageResources.drainQueue_lua)
    static let cleanJobs = joined("cleanJobs", PackageResources.cleanJobs_lua)
    static let obliterateQueue = joined("obliterateQueue", PackageResources.obliterateQueue_lua)
    static let promoteJobs = joined("promoteJobs", PackageResources.promoteJobs_lua)
    static let retryEnded = joined("retryEnded", PackageResources.retryEnded_lua)
    static let updateData = joined("updateData", PackageResources.updateData_lua)
    static let addLog = joined("addLog", PackageResources.addLog_lua)
    static let changeDelay = joined("changeDelay", PackageResources.changeDelay_lua)
    static let changePriority = joined("changePriority", PackageResources.changePriority_lua)
    static let jobStates = joined("jobStates", PackageResources.jobStates_lua)
    static let upsertScheduler = joined("upsertScheduler", PackageResources.upsertScheduler_lua)
    static let advanceScheduler = joined("advanceScheduler", PackageResources.advanceScheduler_lua)
    static let removeScheduler = joined("removeScheduler", PackageResources.removeScheduler_lua)
    static let claimEvents = joined("claimEvents", PackageResources.claimEvents_lua)

    private static func shared(_ name: Substring) -> [UInt8] {
        switch name {
        case "queue": PackageResources.queue_lua
        case "plain": PackageResources.plain_lua
        case "place": PackageResources.place_lua
        case "turn": PackageResources.turn_lua
        case "parking": PackageResources.parking_lua
        case "add": PackageResources.add_lua
        case "addOne": PackageResources.addOne_lua
        case "held": PackageResources.held_lua
        case "stall": PackageResources.stall_lua
        case "stream": PackageResources.stream_lua
        case "fetch": PackageResources.fetch_lua
        case "remove": PackageResources.remove_lua
        case "job": PackageResources.job_lua
        case "forget": PackageResources.forget_lua
        case "deduplication": PackageResources.deduplication_lua
        case "parent": PackageResources.parent_lua
        case "iteration": PackageResources.iteration_lua
        default: preconditionFailure("no shared step is called \(name)")
        }
    }

    private static func joined(_ name: String, _ operation: [UInt8]) -> StoreScript {
        StoreScript(name: name, source: source(operation))
    }

    /// A text with those that it names in their places.
    private static func source(_ text: [UInt8]) -> String {
        let directive = "@include "
        var source = ""
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false) {
            source +=
                line.hasPrefix(directive) ? self.source(shared(line.dropFirst(directive.count))) : line + "\n"
        }
        return source
    }
}
