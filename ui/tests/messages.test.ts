import { describe, expect, it } from "vitest";
import { type Counted, type Key, speak } from "../src/lib/messages";
import de from "../src/messages/de.json";
import en from "../src/messages/en.json";

const blanks = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();

describe("messages", () => {
  it("exist in every language, with the same blanks", () => {
    expect(Object.keys(de)).toEqual(Object.keys(en));
    for (const key of Object.keys(en) as Key[]) {
      if (!key.endsWith(".one")) expect(blanks(de[key]), key).toEqual(blanks(en[key]));
    }
  });

  it("count in the language's own way", () => {
    const more: Counted = "hero.more";
    expect(speak(["en"]).count(more, 1)).toBe("1 more condition");
    expect(speak(["de-AT"]).count(more, 1200)).toMatch(/^1.?200 weitere Bedingungen$/);
  });

  it("follow the first language that is spoken here", () => {
    const chosen = (wanted: string[]) => [speak(wanted).language, speak(wanted).locale];
    expect(chosen(["fr-FR", "de-CH", "en"])).toEqual(["de", "de-CH"]);
    expect(chosen(["fr"])).toEqual(["en", "en"]);
    expect(chosen([])).toEqual(["en", "en"]);
  });
});
