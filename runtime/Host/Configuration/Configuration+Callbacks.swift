internal import Downloads
internal import Webhooks

extension Configuration {
    mutating func applyCallbacks(_ root: StrictReader.Object, with reader: inout StrictReader) {
        let keys = ["secret", "allow", "allowHTTP", "timeout", "attempts", "retryDelay", "retryMaxDelay"]
        guard let section = reader.object(root, "callbacks", keys: keys) else { return }
        set(&callbacks.secret, secret(section, "secret", &reader))
        let allow = reader.value(
            section, "allow", "an array of addresses and networks such as \"10.0.0.0/8\" or \"fd00::/8\""
        ) { json -> [AddressNetwork]? in
            let networks = json.elements?.map { $0.string.flatMap(AddressNetwork.init) } ?? [nil]
            let known = networks.compactMap(\.self)
            return known.count == networks.count ? known : nil
        }
        set(&callbacks.allow, allow)
        set(&callbacks.allowsHTTP, reader.bool(section, "allowHTTP"))
        let times = Duration.milliseconds(100)...Duration.seconds(30)
        set(&callbacks.delivery.timeout, reader.duration(section, "timeout", in: times))
        set(&callbacks.delivery.attempts, reader.integer(section, "attempts", in: 1...50))
        let hour = Duration.seconds(3600)
        let delays = Duration.milliseconds(100)...hour
        set(&callbacks.delivery.retryDelay, reader.duration(section, "retryDelay", in: delays))
        let longest = Duration.milliseconds(100)...(hour * 24)
        set(&callbacks.delivery.retryMaxDelay, reader.duration(section, "retryMaxDelay", in: longest))
    }
}
