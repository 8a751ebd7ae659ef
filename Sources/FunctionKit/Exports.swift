// A function's one import: statuses, methods, header fields, buffers and loggers are part of this API.
@_exported public import HTTPTypes
@_exported public import Logging
@_exported public import NIOCore
