/** The glob matcher again, by definition: every star tries every length. Exponential, for tests. */

export function matchesGlobTwin(pattern: string, text: string): boolean {
  if (pattern === "*") return true;
  if (text === "") return pattern === "";
  return matches(tokens(pattern), text);
}

type Token = "star" | ((character: string) => boolean);

function matches(pattern: readonly Token[], text: string): boolean {
  const [token, ...rest] = pattern;
  if (token === undefined) return text === "";
  if (token === "star") {
    for (let length = 0; length <= text.length; length += 1) {
      if (matches(rest, text.slice(length))) return true;
    }
    return false;
  }
  return text !== "" && token(text.charAt(0)) && matches(rest, text.slice(1));
}

function tokens(pattern: string): Token[] {
  const found: Token[] = [];
  let rest = pattern;
  while (rest !== "") {
    const first = rest.charAt(0);
    if (first === "*") {
      found.push("star");
      rest = rest.slice(1);
    } else if (first === "?") {
      found.push(() => true);
      rest = rest.slice(1);
    } else if (first === "[") {
      const members = classOf(rest.slice(1));
      found.push(members.has);
      rest = members.rest;
    } else {
      const literal = first === "\\" && rest.length > 1 ? rest.charAt(1) : first;
      rest = rest.slice(first === "\\" && rest.length > 1 ? 2 : 1);
      found.push((character) => character === literal);
    }
  }
  return found;
}

function classOf(text: string): { has: (character: string) => boolean; rest: string } {
  const negated = text.startsWith("^");
  const members: ((character: string) => boolean)[] = [];
  let rest = negated ? text.slice(1) : text;
  while (rest !== "" && !rest.startsWith("]")) {
    const escaped = /^\\([^])/.exec(rest);
    const range = /^([^])-([^])/.exec(rest);
    if (escaped !== null) {
      members.push((character) => character === escaped[1]);
      rest = rest.slice(2);
    } else if (range !== null) {
      const [low, high] = [range[1] ?? "", range[2] ?? ""].sort();
      members.push((character) => character >= (low ?? "") && character <= (high ?? ""));
      rest = rest.slice(3);
    } else {
      const literal = rest.charAt(0);
      members.push((character) => character === literal);
      rest = rest.slice(1);
    }
  }
  const has = (character: string): boolean =>
    members.some((member) => member(character)) !== negated;
  return { has, rest: rest.slice(1) };
}
