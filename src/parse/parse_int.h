/*
 * parse/parse_int.h: between parse.c and bridge.c.
 */
#ifndef RDB_PARSE_PARSE_INT_H
#define RDB_PARSE_PARSE_INT_H

#include "parse/parse.h"

typedef enum BridgeMode { BRIDGE_STATEMENTS, BRIDGE_EXPR, BRIDGE_TYPE_NAME } BridgeMode;

/*
 * One call of the parser, converted: statements, one SELECT whose target is the expression, or one AstTypeName. The
 * text is valid UTF-8 without zero bytes, followed by one. *out_parser_bytes (may be NULL): what the parser had
 * allocated when it ended, also on failure.
 */
STATUS bridge_parse(const ParseEnv *env, Ctx *cx, BridgeMode mode, const char *text, size_t len,
                    AstStmtList **out_stmts, size_t *out_parser_bytes);

#endif
