/// All that is wrong with one function, found in one go.
struct FileProblems: Error {
    let problems: [FileProblem]

    init(_ problems: [FileProblem]) { self.problems = problems }

    init(_ problem: FileProblem) { problems = [problem] }
}
