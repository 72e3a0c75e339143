use super::*;
use proptest::prelude::*;

fn private() -> Private {
    Private {
        homes: vec!["/srv/people/alice".into(), "/srv/people/alice/.local/share/surge".into()],
        words: vec![("user", "alice".into()), ("computer", "wonderland".into()), ("program", "diary.app".into())],
    }
}

fn text(text: &str) -> String {
    redact(text, &private()).text
}

#[test]
fn what_is_private_has_a_name_that_stays_the_same() {
    let address = "0x52908400098527886E0F7030069857D2E4169EE7";
    let told = text(&format!("from {address} to {} by 10.0.0.7, again 10.0.0.7 and 10.0.0.8", address.to_lowercase()));
    assert_eq!(told, "from <address-1> to <address-1> by <ip-1>, again <ip-1> and <ip-2>");
    let told = text("/srv/people/alice/.local/share/surge/engine.sqlite of Alice on WONDERLAND (wonderland.example)");
    assert_eq!(told, "<home-1>/engine.sqlite of <user-1> on <computer-1> (<computer-1>.example)");
    let replaced = redact("10.1.1.1 10.1.1.2 10.1.1.1 a@b.example", &private()).replaced;
    assert_eq!(replaced, BTreeMap::from([("email", 1), ("ip", 2)]));
}

#[test]
fn what_helps_stays() {
    let kept = "2026-11-25 14:03:22  2 h 5 min   Waiting: you are using this computer, 350.2 CPU s (0.95 cores)\n\
                state=held reasons=[UserActive] version 0.1.0 (3b47724fa0c1) Linux 6.1.0-28-amd64 x86_64-unknown-linux-gnu\n\
                  at crates/contributor/src/engine.rs:412:9 in surge_contributor::engine::Engine::decide at 127.0.0.1:8080\n\
                the engine's database can't be used: no such table: timeline; earned 400000000000000000 base units\n\
                tokio::runtime::task::core::Core<T,S>::poll ::1 idle_after_seconds = 180 file name too long\n";
    assert_eq!(text(kept), kept);
}

#[test]
fn forms_that_are_easily_missed() {
    for (secret, told) in [
        ("https://alice2:hunter2@proxy.example:3128/x", "https://<login-1>@proxy.example:3128/x"),
        ("http://user:p@ss/w@host/", "http://<login-1>@host/"),
        ("http://user:p|a's\"s<w>`@host/?k=v", "http://<login-1>@host/?<query-1>"),
        ("://?", "://?"),
        ("http://user:p?w@host/?k=v", "http://<login-1>@host/?<query-1>"),
        ("\"https://rpc.example/?k=v\"", "\"https://rpc.example/?<query-1>\""),
        ("https://rpc.example/?key=short", "https://rpc.example/?<query-1>"),
        ("addr:2001:db8::1", "addr:<ip-1>"),
        ("[fe80::1%eth0]:80", "[<ip-1>]:80"),
        ("fe80::2%enx02420a0b0c0d, up", "<ip-1>, up"),
        ("http://user:p w@host/x", "http://<login-1> <email-1>/x"),
        ("http://[::1]:80/ http://host:8080/x", "http://[::1]:80/ http://host:8080/x"),
        ("http://user:pw%20d\u{e9}@host:80/x", "http://<login-1>@host:80/x"),
        (
            "/home/j\u{fc}rgen/\u{6587}\u{66f8} and /home/Bob Smith/x",
            "/home/<user-1>/\u{6587}\u{66f8} and /home/<user-2>/x",
        ),
        ("/home/bob or /srv/x", "/home/<user-1> or /srv/x"),
        ("/srv/people/alicette/x", "/srv/people/alicette/x"),
        ("INFO held program=\"my \\\"game\\\"\\n2\" a=1", "INFO held program=\"<program-1>\" a=1"),
        ("02:42:ac:11:00:02", "<ip-1>"),
        ("/home/bob/x and C:\\Users\\Bob Smith", "/home/<user-1>/x and C:\\Users\\<user-2> Smith"),
        ("550e8400-e29b-41d4-a716-446655440000", "<hex-1>"),
        ("v3/9aa3d95b3bc440fa88ea12eaa4456161", "v3/<hex-1>"),
        ("key=AKIAIOSFODNN7EXAMPLEx", "<token-1>"),
        ("1. abandon 2. ability 3. able 4. about 5. above 6. absent 7. absorb 8. abstract", "1. <words-1>"),
        ("\"Legal\", \"winner\",\n\"thank\", \"year\", \"wave\", \"sausage\", \"worth\", \"useful\"", "\"<words-1>\""),
        ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1", "<token-1>"),
        ("password = \"correct horse\", next", "password = \"<secret-1>\", next"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer <secret-1>"),
        ("{\"api_key\":\"k\"}", "{\"api_key\":\"<secret-1>\"}"),
        ("passphrase_file=/etc/pp, passphrase: hunter2", "passphrase_file=/etc/pp, passphrase: <secret-1>"),
        ("programs diary.app, other", "programs <program-1>, other"),
    ] {
        assert_eq!(text(secret), told);
    }
}

/// Twelve words of a real list.
fn phrase() -> impl Strategy<Value = String> {
    const LISTED: [&str; 12] =
        ["zoo", "wolf", "abandon", "legal", "winner", "thank", "year", "wave", "sausage", "worth", "useful", "title"];
    const BETWEEN: [&str; 5] = [" ", ", ", "\n", "  ", "\", \""];
    (prop::collection::vec(prop::sample::select(&LISTED[..]), 12..=24), prop::sample::select(&BETWEEN[..]))
        .prop_map(|(words, between)| words.join(between))
}

/// A secret of some kind, and what must not be found of it.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "0x[0-9a-fA-F]{40}",
        "0x[0-9a-f]{64}",
        "[0-9a-f]{64}",
        "[0-9A-F]{32}",
        "[1-9][0-9]{1,2}\\.[1-9][0-9]\\.[0-9]{1,2}\\.[1-9][0-9]"
            .prop_filter("an address", |text| { text.parse::<Ipv4Addr>().is_ok_and(|ip| !ip.is_loopback()) }),
        prop::array::uniform8(1_u16..).prop_map(|parts| std::net::Ipv6Addr::from(parts).to_string()),
        "[a-z]{2,9}[.+]?[a-z0-9]{1,9}@[a-z]{2,9}\\.(example|org)",
        "[a-z]{3,8}:[A-Za-z0-9!$*]{4,20}@[a-z]{3,9}\\.example".prop_map(|login| format!("https://{login}/path")),
        "[a-z]{3,8}:[A-Za-z0-9!|'\"<>`@/]{8,20}@[a-z]{3,9}\\.example".prop_map(|login| format!("https://{login}/path")),
        "/home/[a-z][a-z0-9]{4,9}",
        "[A-Z][a-z]{3}[0-9]{3}[A-Za-z0-9]{20,40}",
        "[A-Z][a-z][0-9][A-Za-z0-9+/]{37}==".prop_filter("like base64", |text| text.matches('/').count() <= 4),
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[0-9a-f]{2}(:[0-9a-f]{2}){5}",
        phrase(),
        Just("alice".to_owned()),
        Just("Wonderland".to_owned()),
        Just("/srv/people/alice/notes".to_owned()),
    ]
}

/// What a reader must not find: of a path its owner, of a URL its login, of a phrase even a part.
fn traces(secret: &str) -> Vec<String> {
    if let Some(name) = secret.strip_prefix("/home/") {
        return vec![name.to_owned()];
    }
    if let Some(rest) = secret.strip_prefix("https://") {
        let (login, _) = rest.rsplit_once('@').unwrap();
        let (_, password) = login.split_once(':').unwrap();
        // A short password may be a part of any word.
        return [login].into_iter().chain(Some(password).filter(|it| it.len() >= 8)).map(str::to_owned).collect();
    }
    let words: Vec<_> = secret.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).collect();
    if words.len() >= 12 && !secret.contains(|c: char| c.is_ascii_digit() || c == '/') {
        return words.windows(3).map(|three| three.join(" ")).chain([secret.to_owned()]).collect();
    }
    if secret.starts_with("/srv") {
        return vec!["alice".to_owned()];
    }
    vec![secret.to_owned()]
}

/// Text around it, with every separator that logs, TOML, JSON and shells put there.
fn around() -> impl Strategy<Value = (String, String)> {
    const SEPARATORS: [&str; 15] = [" ", "\n", "\"", "'", "(", "=", ",", ";", "<", ">", "[", "]", "\t", "|", ": "];
    let noise = "[ -~äß€\n]{0,60}";
    (noise, prop::sample::select(&SEPARATORS[..]), prop::sample::select(&SEPARATORS[..]), noise)
        .prop_map(|(before, left, right, after)| (format!("{before}{left}"), format!("{right}{after}")))
}

/// Any text, and often one in which something begins that is looked for.
fn any() -> impl Strategy<Value = String> {
    const BEGINNINGS: [&str; 22] = [
        "://",
        "?",
        "@",
        ":",
        "/",
        "/home/",
        "\\Users\\",
        "alice",
        "password",
        "=",
        "Bearer ",
        "0x",
        "deadbeef",
        "10.0.0.7",
        "::",
        "aB3",
        "abandon ",
        "<",
        ">",
        "\"",
        " ",
        "\n",
    ];
    prop::collection::vec(
        prop_oneof!["\\PC{0,4}", prop::sample::select(&BEGINNINGS[..]).prop_map(str::to_owned)],
        0..40,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_secret_survives_whatever_is_around_it((before, after) in around(), secret in secret()) {
        let told = text(&format!("{before}{secret}{after}")).to_lowercase();
        let flat: Vec<_> = told.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let flat = flat.join(" ");
        for trace in traces(&secret) {
            let trace = trace.to_lowercase();
            prop_assert!(!told.contains(&trace), "{trace:?} of {secret:?} is in {told:?}");
            prop_assert!(!(trace.contains(' ') && flat.contains(&trace)), "{trace:?} of {secret:?} is in {told:?}");
        }
    }

    #[test]
    fn any_text_can_be_redacted_and_all_that_was_taken_is_named(any in any()) {
        let Redacted { text, replaced } = redact(&any, &private());
        for (kind, count) in replaced {
            for number in 1..=count {
                prop_assert!(text.contains(&format!("<{kind}-{number}>")), "{kind} {number} of {any:?} is not in {text:?}");
            }
        }
    }

    #[test]
    fn the_same_secret_has_the_same_name_and_another_has_another(one in "0x[0-9a-f]{40}", two in "0x[0-9a-f]{40}") {
        prop_assume!(one != two);
        prop_assert_eq!(text(&format!("{one} {two} {one}")), "<address-1> <address-2> <address-1>");
    }
}
