/* Runs the SQL on standard input against the database file named by the first argument, and prints what it selects:
 * SQLite behind the standard streams. */

#include <stdio.h>

#include "sqlite3.h"

static char text[1 << 20];

static int show(void *unused, int columns, char **values, char **names) {
    (void)unused, (void)names;
    for (int i = 0; i < columns; i++) printf("%s%s", i ? "|" : "", values[i] ? values[i] : "");
    putchar('\n');
    return 0;
}

static int fail(const char *why) {
    fprintf(stderr, "sql: %s\n", why);
    return 2;
}

int main(int argc, char **argv) {
    sqlite3 *database;
    char *why = NULL;
    if (argc != 2) return fail("the argument is a database file");
    if (sqlite3_open(argv[1], &database) != SQLITE_OK) return fail(sqlite3_errmsg(database));
    size_t length = fread(text, 1, sizeof text - 1, stdin);
    text[length] = 0;
    if (sqlite3_exec(database, text, show, NULL, &why) != SQLITE_OK) return fail(why);
    return sqlite3_close(database) == SQLITE_OK ? 0 : fail("the database was not closed");
}
