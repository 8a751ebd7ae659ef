// libpq's types, and its functions as pointers that are found when a PostgreSQL server is configured. The library is not
// linked: it would pull some twenty others into every start. The header gives the pointers their types.
#pragma once

#include <dlfcn.h>

// Debian and its kin keep the header in a folder of its own, others among the rest.
#if __has_include(<postgresql/libpq-fe.h>)
#include <postgresql/libpq-fe.h>
#else
#include <libpq-fe.h>
#endif

#define FERRY_PQ_FUNCTIONS(F) \
    F(connectStartParams, PQconnectStartParams) \
    F(connectPoll, PQconnectPoll) \
    F(status, PQstatus) \
    F(socket, PQsocket) \
    F(finish, PQfinish) \
    F(errorMessage, PQerrorMessage) \
    F(serverVersion, PQserverVersion) \
    F(transactionStatus, PQtransactionStatus) \
    F(setNonblocking, PQsetnonblocking) \
    F(setErrorVerbosity, PQsetErrorVerbosity) \
    F(setNoticeReceiver, PQsetNoticeReceiver) \
    F(sendQuery, PQsendQuery) \
    F(sendPrepare, PQsendPrepare) \
    F(sendQueryPrepared, PQsendQueryPrepared) \
    F(flush, PQflush) \
    F(consumeInput, PQconsumeInput) \
    F(isBusy, PQisBusy) \
    F(getResult, PQgetResult) \
    F(resultStatus, PQresultStatus) \
    F(resultErrorField, PQresultErrorField) \
    F(clear, PQclear) \
    F(rowCount, PQntuples) \
    F(isNull, PQgetisnull) \
    F(value, PQgetvalue) \
    F(length, PQgetlength) \
    F(conninfoParse, PQconninfoParse) \
    F(conninfoFree, PQconninfoFree) \
    F(freeMemory, PQfreemem)

#define FERRY_PQ_FIELD(field, function) __typeof__(&function) _Nonnull field;
typedef struct {
    FERRY_PQ_FUNCTIONS(FERRY_PQ_FIELD)
} FerryPQFunctions;
#undef FERRY_PQ_FIELD

/// Fills the pointers from an open library. Returns NULL, or the name of a function that the library lacks.
static inline const char *_Nullable ferry_pq_find(void *_Nonnull library, FerryPQFunctions *_Nonnull functions) {
    void *found;
#define FERRY_PQ_FIND(field, function) \
    if (!(found = dlsym(library, #function))) return #function; \
    functions->field = (__typeof__(&function))found;
    FERRY_PQ_FUNCTIONS(FERRY_PQ_FIND)
#undef FERRY_PQ_FIND
    return 0;
}

/// The field's code as an integer: the macros of the header are characters.
static const int ferry_pq_sqlstate = PG_DIAG_SQLSTATE;
static const int ferry_pq_primary = PG_DIAG_MESSAGE_PRIMARY;

static inline void ferry_pq_ignore_notice(void *_Nullable argument, const PGresult *_Nullable result) {
    (void)argument;
    (void)result;
}
