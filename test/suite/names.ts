/** Names that every store is asked to keep exactly. The full-width tilde and the emoji order differently by UTF-8 bytes and by UTF-16 units. */
export const NAMES: readonly string[] = [
  'plain', 'a b', ' lead', 'trail ', 'a+b', 'a%20b', 'a%2Fb', 'a#b', 'a?b', 'a&b<c>', 'quote\'"', 'back\\slash', 'semi;colon:@$,=', 'line\nbreak', 'tab\tstop',
  'é', 'o/\uff5e', 'o/😀', 'z=1/part-0', '~*!()', '[minio_cache:v2]', '&amp;', '.hidden', 'a.b/c', 'a/b', 'a-b', 'a0',
]

/** Names that some cannot hold: segments that paths have no room for, controls, lengths, and things that look like other things. */
export const NASTIER: readonly string[] = [
  'd//x', '//', 'd///', './x', 'd/./x', 'd/../x', '../x', '/lead', 'e/f/', 'mp', 'mp/child', 'c\u0001x', '\u007f', 'a\r\nb', 'nel\u0085', 'ls\u2028ps\u2029', '\ufeffbom', 'rtl\u202egpj',
  'e\u0301', '%', '%zz', '%25', '%2e%2e', 'a%2B b+%20', '+', '*', 'v1', 'latest', '{a,b}', '${x}', '-rf', 'CON', 'x'.repeat(255), `${'s'.repeat(300)}/x`, `k/${'é'.repeat(505)}`,
]
