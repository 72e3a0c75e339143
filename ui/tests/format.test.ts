import { describe, expect, it } from "vitest";
import { clock, duration, exactMoney, jobTitle, money, percent, shortAccount, sum } from "../src/lib/format";

const ONE = 10n ** 18n;

describe("money", () => {
  it("is cut after four decimals and never rounded up", () => {
    expect(money((ONE - 1n).toString(), "en")).toBe("0.9999");
    expect(money("412345678901234567", "en")).toBe("0.4123");
    expect(money("12500000000000000000", "en")).toBe("12.5");
  });

  it("says so when there is less than it can show", () => {
    expect(money("1", "en")).toBe("< 0.0001");
    expect(money("99999999999999", "de")).toBe("< 0,0001");
    expect(money("0", "en")).toBe("0");
  });

  it("stays exact where floats would not", () => {
    expect(exactMoney("9007199254740993000000000000000001", "en")).toBe("9,007,199,254,740,993.000000000000000001");
    expect(sum("9007199254740993", "1", "340282366920938463463374607431768211455")).toBe(
      "340282366920938463463383614631022952449",
    );
  });

  it("never shows more than there is, whatever the amount", () => {
    let base = 1n;
    for (let i = 0; i < 120; i++) {
      const shown = money(base.toString(), "en").replaceAll(",", "");
      if (!shown.startsWith("<")) {
        const [whole = "", fraction = ""] = shown.split(".");
        const back = BigInt(whole) * ONE + BigInt(fraction.padEnd(18, "0"));
        expect(back).toBeLessThanOrEqual(base);
        expect(base - back).toBeLessThan(10n ** 14n);
      }
      base = (base * 19n) / 10n + 7n;
    }
  });

  it("groups and points as the region does", () => {
    expect(money("1234567890000000000000", "de")).toBe("1.234,5678");
    expect(money("1234567890000000000000", "en-GB")).toBe("1,234.5678");
  });
});

describe("time", () => {
  it("uses the two largest units that matter", () => {
    expect([0, 59, 60, 95, 180, 3599, 3600, 4260].map(duration)).toEqual([
      "0 s",
      "59 s",
      "1 min",
      "1 min 35 s",
      "3 min",
      "59 min",
      "1 h",
      "1 h 11 min",
    ]);
  });

  it("names the day only when it is another day", () => {
    const noon = new Date(2026, 10, 22, 12, 0).getTime() / 1000;
    expect(clock(noon + 3600, noon, "en-GB")).toBe("13:00");
    expect(clock(noon + 13 * 3600, noon, "en-GB")).toBe("Mon 01:00");
  });
});

describe("names", () => {
  it("shortens an account and keeps both ends", () => {
    expect(shortAccount("0x8ba1f109551bD432803012645Ac136ddd64DBA72")).toBe("0x8ba1…BA72");
  });

  it("writes job names as people do", () => {
    expect(jobTitle("protein_alignment-search")).toBe("Protein alignment search");
  });

  it("shows whole percents", () => {
    expect(percent(45.6, "en")).toBe("46%");
  });
});
