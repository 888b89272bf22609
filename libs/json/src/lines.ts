/**
 * The lines of a text's bytes, without their line feeds. In UTF-8 no other character has the byte of a line feed, so the lines beside one that is not UTF-8
 * are whole.
 */
export function* linesOf(bytes: Buffer): Iterable<Buffer> {
  for (let start = 0; start < bytes.length;) {
    const feed = bytes.indexOf('\n', start);
    const end = feed === -1 ? bytes.length : feed;
    yield bytes.subarray(start, end);
    start = end + 1;
  }
}
