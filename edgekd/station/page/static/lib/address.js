// What stands behind the # of an address.

/** A part of an address as it was before it was encoded; as it is where somebody typed what is no code. */
export function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
