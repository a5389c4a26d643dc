/*
 * The SQL of the corpus beside the source tree (../shared/corpus, or RDB_CORPUS_DIR): every text parses or is refused
 * without a crash, every statement that the deparser covers makes the round trip, every fingerprint keeps its promise.
 * Skipped where there is no corpus. RDB_CORPUS_ALL=1 takes all of the large files, otherwise each eighth record.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "parse_fixture.h"

typedef struct Tally {
    size_t texts;
    size_t errors;
    size_t statements;
    size_t round_trips;
} Tally;

static void round_trip(Fixture *f, const AstNode *node, Tally *tally)
{
    StrBuf text;
    strbuf_init(&text, &f->budget);
    Status st = ast_deparse(node, &f->err, &text);
    if (st == ST_OK) {
        AstDiff diff;
        assert_int_equal(ast_compare(node, must_parse_one(f, text.p), &f->err, &diff), ST_OK);
        if (diff.node != AST_NONE) {
            fail_msg("%s: differs in %s.%s", text.p, ast_tag_name(diff.node), diff.field != NULL ? diff.field : "tag");
        }
        tally->round_trips++;
    } else {
        assert_int_equal(st, ST_FEATURE_NOT_SUPPORTED);
        assert_int_not_equal(node->tag, AST_SELECT_STMT);
    }
    strbuf_done(&text);
}

/* The scanner's pieces and gaps cover the text, and the text is the same as itself. */
static void check_fingerprint(const char *sql, size_t len)
{
    enum { GAPS = 200 };
    ScanGap gaps[GAPS];
    ScanFingerprint print;
    if (!scan_fingerprint(sql, len, 7, gaps, GAPS, &print)) {
        return;
    }
    for (uint32_t i = 0; i < print.gap_count; i++) {
        assert_true(gaps[i].begin >= (i > 0 ? gaps[i - 1].begin + gaps[i - 1].len : 0));
    }
    ScanText text = {sql, len, gaps, print.gap_count};
    assert_true(scan_same(&text, &text));
}

static void check_text(Fixture *f, const char *sql, size_t len, Tally *tally)
{
    arena_reset(&f->arena);
    err_clear(&f->err);
    char *text = arena_strndup(&f->arena, sql, len);
    assert_non_null(text);
    tally->texts++;
    check_fingerprint(text, len);
    AstStmtList *list;
    if (parse_sql(NULL, &f->cx, text, len, &list) != ST_OK) {
        assert_int_equal(strlen(f->err.sqlstate), 5);
        tally->errors++;
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        tally->statements++;
        err_clear(&f->err);
        round_trip(f, list->items[i].stmt, tally);
    }
}

static const char *line_end(const char *p)
{
    const char *end = strchr(p, '\n');
    return end != NULL ? end : p + strlen(p);
}

static bool starts(const char *p, const char *word)
{
    return strncmp(p, word, strlen(word)) == 0;
}

/* A record of sqllogictest: lines up to an empty one; the SQL is behind the line "statement" or "query". */
static const char *check_record(Fixture *f, const char *p, bool wanted, Tally *tally)
{
    const char *sql = NULL;
    const char *sql_end = NULL;
    while (*p != '\0' && *p != '\n') {
        const char *end = line_end(p);
        if (sql == NULL && (starts(p, "statement") || starts(p, "query"))) {
            sql = *end == '\n' ? end + 1 : end;
        } else if (sql != NULL && sql_end == NULL && starts(p, "----\n")) {
            sql_end = p;
        }
        p = *end == '\n' ? end + 1 : end;
    }
    if (sql != NULL && wanted) {
        check_text(f, sql, (size_t)((sql_end != NULL ? sql_end : p) - sql), tally);
    }
    return p;
}

static void check_sqllogictest(Fixture *f, char *text, Tally *tally)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from != '\r') {
            *to++ = *from;
        }
    }
    *to = '\0';
    size_t every = strlen(text) > 100000 && getenv("RDB_CORPUS_ALL") == NULL ? 8 : 1;
    size_t record = 0;
    for (const char *p = text; *p != '\0'; record++) {
        p += *p == '\n';
        p = check_record(f, p, record % every == 0, tally);
    }
}

/* A psql script: backslash commands before a statement are left out, those inside are errors to the parser. */
static void check_script(Fixture *f, const char *text, Tally *tally)
{
    size_t len = strlen(text);
    for (size_t at = 0; at < len;) {
        size_t bytes;
        (void)scan_split(text + at, len - at, &bytes);
        const char *p = text + at;
        at += bytes;
        for (p += strspn(p, " \t\r\n"); *p == '\\' && p < text + at; p += strspn(p, " \t\r\n")) {
            p = line_end(p);
        }
        if (p < text + at) {
            check_text(f, p, (size_t)(text + at - p), tally);
        }
    }
}

/* The whole file, unpacked; NULL if it cannot be read. */
static char *read_whole(const char *path)
{
    char command[1200];
    (void)snprintf(command, sizeof command, "gzip -dcf -- '%s'", path);
    FILE *in = popen(command, "r");
    if (in == NULL) {
        return NULL;
    }
    size_t cap = 1 << 20;
    size_t len = 0;
    char *text = malloc(cap + 1);
    for (size_t n; text != NULL && (n = fread(text + len, 1, cap - len, in)) > 0;) {
        len += n;
        if (len == cap) {
            cap *= 2;
            text = realloc(text, cap + 1);
        }
    }
    (void)pclose(in);
    if (text != NULL) {
        text[len] = '\0';
    }
    return text;
}

static void check_file(const char *path, Tally *tally)
{
    bool script = strstr(path, ".sql") != NULL;
    if (!script && strstr(path, ".test") == NULL && strstr(path, ".slt") == NULL) {
        return;
    }
    Fixture f;
    fixture_init(&f);
    char *text = read_whole(path);
    assert_non_null(text);
    if (script) {
        check_script(&f, text, tally);
    } else {
        check_sqllogictest(&f, text, tally);
    }
    free(text);
    fixture_done(&f);
}

static void check_folder(const char *path, Tally *tally)
{
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char below[1100];
        struct stat st;
        (void)snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] == '.' || stat(below, &st) != 0) {
            continue;
        }
        if (S_ISDIR(st.st_mode)) {
            check_folder(below, tally);
        } else {
            check_file(below, tally);
        }
    }
    (void)closedir(dir);
}

/* Beside the source tree, seen from this file; the build gives its path from where tests run. */
static bool corpus_folder(char *out, size_t size)
{
    const char *given = getenv("RDB_CORPUS_DIR");
    if (given != NULL) {
        (void)snprintf(out, size, "%s", given);
    } else {
        static const char here[] = __FILE__;
        const char *slash = strrchr(here, '/');
        (void)snprintf(out, size, "%.*s/../../../../shared/corpus", slash != NULL ? (int)(slash - here) : 1,
                       slash != NULL ? here : ".");
    }
    DIR *dir = opendir(out);
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return dir != NULL;
}

static void the_corpus_makes_the_round_trip(void **state)
{
    (void)state;
    char folder[1000];
    if (!corpus_folder(folder, sizeof folder)) {
        skip();
    }
    Tally tally = {0};
    check_folder(folder, &tally);
    print_message("# %zu texts, %zu refused, %zu statements, %zu round trips\n", tally.texts, tally.errors,
                  tally.statements, tally.round_trips);
    assert_true(tally.round_trips > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_corpus_makes_the_round_trip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
