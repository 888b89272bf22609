/**
 * The parts of a statement of PostgreSQL that hold no placeholder: texts, names, comments. A backslash escapes in E'…' only, and names may hold a dollar
 * sign behind their first letter.
 */
const postgresParts =
  /[eE]'(?:[^'\\]|\\[^]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|(\$(?:[A-Za-z_][A-Za-z0-9_]*)?\$)[^]*?\1|--[^\n]*|\/\*[^]*?\*\/|[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/g;
/** The parts of a statement of MySQL that hold no placeholder. */
const mysqlParts = /'(?:[^'\\]|\\[^]|'')*'|"(?:[^"\\]|\\[^]|"")*"|`(?:[^`]|``)*`|#[^\n]*|--(?=\s|$)[^\n]*|\/\*[^]*?\*\//g;

/** The numbers of `$1`, `$2`, … in a statement of PostgreSQL, each once. */
export function numberedPlaceholders(sql: string): ReadonlySet<number> {
  return new Set([...sql.replaceAll(postgresParts, ' ').matchAll(/\$(\d+)/g)].map(([, number]) => Number(number)));
}

/** The number of `?` in a statement of MySQL. */
export function countedPlaceholders(sql: string): number {
  return sql.replaceAll(mysqlParts, ' ').split('?').length - 1;
}
