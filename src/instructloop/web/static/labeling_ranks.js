// Ranks as plain values: answer -> rank from 1 (best), absent where there is none. Equal ranks are ties. Nothing here knows a page.

export const countRanked = (ranks, names) => names.filter((name) => ranks[name]).length;

export const tiedWith = (ranks, name) => Object.keys(ranks).filter((other) => other !== name && ranks[other] && ranks[other] === ranks[name]).sort();

// Best to worst, equal within a group; gaps between ranks mean nothing.
export function groupsOf(ranks, names) {
  const used = [...new Set(names.map((name) => ranks[name]))].sort((a, b) => a - b);
  return used.map((rank) => names.filter((name) => ranks[name] === rank));
}

export function ranksOf(groups) {
  return Object.fromEntries(groups.flatMap((group, place) => group.map((name) => [name, place + 1])));
}

export function placed(ranks, name, rank) {
  const { [name]: _, ...others } = ranks;
  return rank ? { ...others, [name]: rank } : others;
}

// A rank of its own: whoever has it, or would be pushed into the next, moves down as far as there is room; else everybody closes up.
export function inserted(ranks, name, rank, most) {
  const others = placed(ranks, name, null);
  const taken = (at) => Object.keys(others).filter((other) => others[other] === at);
  let free = rank;
  while (free <= most && taken(free).length) free += 1;
  if (free <= most) {
    const moved = Object.fromEntries(Object.entries(others).map(([other, at]) => [other, at >= rank && at < free ? at + 1 : at]));
    return { ...moved, [name]: rank };
  }
  const before = Object.keys(others).filter((other) => others[other] < rank);
  const after = Object.keys(others).filter((other) => others[other] >= rank);
  const groups = [...groupsOf(others, before), [name], ...groupsOf(others, after)].filter((group) => group.length);
  return ranksOf(groups);
}

export const moved = (ranks, name, step, most) => placed(ranks, name, Math.min(most, Math.max(1, (ranks[name] ?? (step < 0 ? most + 1 : 0)) + step)));
