/*
 * parse/ast_nodes_all.h: runs over both node tables (over ast_nodes.def alone when OWN is not defined) with the macros
 * that the includer defined: NODE, OWN, and either all or none of FIELD_NODE, FIELD_PTR, ... and END. Takes every
 * definition back at the end.
 * Deliberately without an include guard.
 */
#ifndef FIELD_NODE
#define FIELD_NODE(f)
#define FIELD_PTR(N, f)
#define FIELD_LIST(f)
#define FIELD_NAMES(f)
#define FIELD_STR(f)
#define FIELD_BOOL(f)
#define FIELD_CHAR(f)
#define FIELD_INT(f)
#define FIELD_INT64(f)
#define FIELD_ENUM(E, f)
#define END(N)
#endif

#ifdef NODE
#define NODE_AT(N, P, T) NODE(N, P, T)
#define F_NODE(f, theirs) FIELD_NODE(f)
#define F_SHARED(f, theirs) FIELD_NODE(f)
#define F_PTR(N, f, theirs) FIELD_PTR(N, f)
#define F_LIST(f, theirs) FIELD_LIST(f)
#define F_NAMES(f, theirs) FIELD_NAMES(f)
#define F_OBJECT(f, theirs) FIELD_NODE(f)
#define F_OBJECTS(f, theirs) FIELD_LIST(f)
#define F_STR(f, theirs) FIELD_STR(f)
#define F_BOOL(f, theirs) FIELD_BOOL(f)
#define F_CHAR(f, theirs) FIELD_CHAR(f)
#define F_INT(f, theirs) FIELD_INT(f)
#define F_INT64(f, theirs) FIELD_INT64(f)
#define F_ENUM(E, f, theirs) FIELD_ENUM(E, f)
#define F_MAP(E, f, theirs, fn) FIELD_ENUM(E, f)
#define F_CHECK(fn)
#include "parse/ast_nodes.def"
#undef NODE_AT
#undef F_NODE
#undef F_SHARED
#undef F_PTR
#undef F_LIST
#undef F_NAMES
#undef F_OBJECT
#undef F_OBJECTS
#undef F_STR
#undef F_BOOL
#undef F_CHAR
#undef F_INT
#undef F_INT64
#undef F_ENUM
#undef F_MAP
#undef F_CHECK

#ifdef OWN
#define OWN_NODE(f) FIELD_NODE(f)
#define OWN_PTR(N, f) FIELD_PTR(N, f)
#define OWN_LIST(f) FIELD_LIST(f)
#define OWN_NAMES(f) FIELD_NAMES(f)
#define OWN_STR(f) FIELD_STR(f)
#define OWN_BOOL(f) FIELD_BOOL(f)
#define OWN_INT(f) FIELD_INT(f)
#define OWN_ENUM(E, f) FIELD_ENUM(E, f)
#include "parse/ast_own.def"
#undef OWN_NODE
#undef OWN_PTR
#undef OWN_LIST
#undef OWN_NAMES
#undef OWN_STR
#undef OWN_BOOL
#undef OWN_INT
#undef OWN_ENUM
#endif
#endif

#undef NODE
#undef OWN
#undef FIELD_NODE
#undef FIELD_PTR
#undef FIELD_LIST
#undef FIELD_NAMES
#undef FIELD_STR
#undef FIELD_BOOL
#undef FIELD_CHAR
#undef FIELD_INT
#undef FIELD_INT64
#undef FIELD_ENUM
#undef END
