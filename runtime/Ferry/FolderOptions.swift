import ArgumentParser

/// Where functions and data lie; shared by all sub-commands that read them.
struct FolderOptions: ParsableArguments {
    @Option(name: .customLong("functions"), help: ArgumentHelp("The folder of functions.", valueName: "dir"))
    var functionsFolder = "functions"

    @Option(
        name: .customLong("data"), help: ArgumentHelp("The folder for compiled modules and data.", valueName: "dir"))
    var dataFolder = ".ferry"
}
