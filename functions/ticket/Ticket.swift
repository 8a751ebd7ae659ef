import Downloads
import FunctionKit

/// Gives a ticket with which a browser, which can set no header there, opens the job's event stream or socket.
struct Ticket: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        let job = try await context.downloadJob(try request.jobID())
        guard let user = context.user else { throw HTTPError(.forbidden, message: "Nobody is known to ask for it.") }
        let ticket = try context.bindings.tickets.ticket(
            for: user, subject: job.id.description, lifetime: .seconds(600))
        var json = JSONWriter(capacity: 256)
        json.object { json in
            json.key("ticket")
            json.value(ticket.text)
            json.key("expiresIn")
            json.value(ticket.seconds)
        }
        var response = Response.json(encoded: json.buffer)
        response.headers[.cacheControl] = "no-store"
        return response
    }
}
