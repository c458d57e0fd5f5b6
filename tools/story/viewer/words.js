// Numbers as words: addresses, bytes, counts.

const MASK = (1n << 64n) - 1n;

/** An address, which is signed as the processor extends it. */
export function hex(address) {
  return `0x${(BigInt(address) & MASK).toString(16)}`;
}

/** Reads an address as a person writes it; `null` if it is none. */
export function parse_address(text) {
  const digits = text.trim().toLowerCase().replace(/^0x/, '');
  if (!/^[0-9a-f]{1,16}$/.test(digits)) return null;
  return Number(BigInt.asIntN(64, BigInt(`0x${digits}`)));
}

const UNITS = [
  [2 ** 40, 'TiB'],
  [2 ** 30, 'GiB'],
  [2 ** 20, 'MiB'],
  [2 ** 10, 'KiB'],
];

/** A number of bytes. */
export function bytes(number) {
  const unit = UNITS.find(([size]) => number >= size);
  if (!unit) return `${number} bytes`;
  const value = number / unit[0];
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${unit[1]}`;
}

/** A number of things. */
export function count(number, noun) {
  const many = noun.endsWith('y') ? `${noun.slice(0, -1)}ies` : `${noun}s`;
  return `${number.toLocaleString('en')} ${number === 1 ? noun : many}`;
}

/** Permissions as in a map: 1 read, 2 write, 4 execute. */
export function permissions(bits) {
  return ['r', 'w', 'x'].map((letter, bit) => ((bits >> bit) & 1 ? letter : '-')).join('');
}
