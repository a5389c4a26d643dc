/*
 * plan/physical.h: how a statement is executed: an immutable tree of physical operators.
 *
 * A physical plan is re-entrant: any number of executions run on one plan at a time; what changes while running is in
 * exec's states. Expressions in it name chunk columns (expr/eval.h binds them), and their programs are compiled once, here.
 * Costs are in PostgreSQL's unit (one sequential page read = 1.0), so that EXPLAIN compares.
 *
 * A plan depends on the catalog through the relations of its LogicalStatement, and on settings that `plan_statement` was given; the
 * statement cache checks both.
 */
#ifndef RDB_PLAN_PHYSICAL_H
#define RDB_PLAN_PHYSICAL_H

#include "bind/logical.h"
#include "expr/eval.h"

typedef enum PhysicalKind {
    PHYSICAL_RESULT,     /* rows of expressions: VALUES, SELECT without FROM */
    PHYSICAL_SEQ_SCAN,   /* pages of a table, with predicates evaluated under the latch */
    PHYSICAL_INDEX_SCAN, /* TIDs out of an index range, then rows */
    PHYSICAL_FUNCTION_SCAN,
    PHYSICAL_CTE_SCAN,
    PHYSICAL_FILTER,
    PHYSICAL_PROJECT,
    PHYSICAL_SET_PROJECT,
    PHYSICAL_NESTED_LOOP, /* right side once per left row, its parameters set from it */
    PHYSICAL_HASH_JOIN,   /* right side is built */
    PHYSICAL_HASH_AGGREGATE,
    PHYSICAL_PLAIN_AGGREGATE, /* one group */
    PHYSICAL_UNIQUE,          /* hash distinct */
    PHYSICAL_SORT,
    PHYSICAL_TOP_N,
    PHYSICAL_LIMIT,
    PHYSICAL_APPEND,
    PHYSICAL_SET_OPERATION,
    PHYSICAL_RECURSIVE,
    PHYSICAL_LOCK_ROWS,
    PHYSICAL_MODIFY,
} PhysicalKind;

typedef struct PhysicalCost {
    double startup;
    double total;
    double rows;
    double width;
} PhysicalCost;

/* One bound of an index range: a prefix of key columns with values computed at the start of a scan. */
typedef struct PhysicalKeyRange {
    const ExprProgram *const *equal; /* values of the first n_equal key columns */
    uint32_t n_equal;
    const ExprProgram *low; /* of the next key column; NULL = none */
    const ExprProgram *high;
    bool low_inclusive;
    bool high_inclusive;
    const ExprProgram *any; /* column = ANY (array): instead of the last `equal` */
} PhysicalKeyRange;

typedef struct Physical Physical;
struct Physical {
    PhysicalKind kind;
    PhysicalCost cost;
    Physical *left;
    Physical *right;
    const ValueType *types; /* of the output chunk's columns */
    uint32_t n_columns;
    uint32_t id; /* dense number in the plan, for states and EXPLAIN ANALYZE */
    const Logical *logical; /* for EXPLAIN's texts */
    const struct PhysicalBody *body; /* by kind; see physical_body.h */
};

/* A subquery that is run on its own: parameters in, a value, a row or a test out. */
typedef struct PhysicalSubplan {
    Physical *root;
    ExprSublinkKind kind;
    const uint32_t *params; /* EXEC parameters it reads: it runs anew when one changes */
    uint32_t n_params;
    bool hashed; /* uncorrelated ANY: built once, probed */
} PhysicalSubplan;

typedef struct PhysicalPlan {
    Arena arena; /* everything below */
    _Atomic uint32_t references;
    const LogicalStatement *statement;
    Physical *root;
    const PhysicalSubplan *subplans;
    uint32_t n_subplans;
    uint32_t n_nodes;
    uint32_t n_exec_params;
    LogicalColumns output;
} PhysicalPlan;

typedef struct PlanSettings {
    double seq_page_cost, random_page_cost, cpu_tuple_cost, cpu_index_tuple_cost, cpu_operator_cost;
    size_t work_mem_bytes;
    uint32_t vector_size;
    bool enable_seqscan, enable_indexscan, enable_hashjoin, enable_nestloop, enable_hashagg, enable_sort;
} PlanSettings;

/* Row and page counts of relations, asked while planning. */
typedef struct PlanStatistics {
    void *arg;
    void (*relation)(void *arg, const CatRelation *r, double *out_pages, double *out_rows);
} PlanStatistics;

STATUS plan_statement(Ctx *cx, const LogicalStatement *s, const PlanSettings *settings, const PlanStatistics *statistics,
                      const Registry *registry, PhysicalPlan **out_plan);
void plan_release(PhysicalPlan *p);

#endif
