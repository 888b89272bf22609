/** CRC-32C (Castagnoli, RFC 3720 B.4), eight bytes per step: Node's zlib has only the other CRC-32. */
export function crc32c(data: Buffer): number {
  let crc = 0xffff_ffff;
  let at = 0;
  for (const end = data.length - 7; at < end; at += 8) {
    const low = crc ^ (data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24));
    crc =
      tables[7]![low & 0xff]! ^
      tables[6]![(low >>> 8) & 0xff]! ^
      tables[5]![(low >>> 16) & 0xff]! ^
      tables[4]![low >>> 24]! ^
      tables[3]![data[at + 4]!]! ^
      tables[2]![data[at + 5]!]! ^
      tables[1]![data[at + 6]!]! ^
      tables[0]![data[at + 7]!]!;
  }
  for (; at < data.length; at += 1) crc = (crc >>> 8) ^ tables[0]![(crc ^ data[at]!) & 0xff]!;
  return ~crc >>> 0;
}

const tables = makeTables();

function makeTables(): Int32Array[] {
  const made = Array.from({ length: 8 }, () => new Int32Array(256));
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
    made[0]![byte] = crc;
  }
  for (let table = 1; table < 8; table += 1) {
    for (let byte = 0; byte < 256; byte += 1) {
      const previous = made[table - 1]![byte]!;
      made[table]![byte] = (previous >>> 8) ^ made[0]![previous & 0xff]!;
    }
  }
  return made;
}
