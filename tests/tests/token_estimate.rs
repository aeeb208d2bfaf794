//! How far off the estimate of tokens is: the bound that `leverframe_http::tokens`
//! states, held against exact counts of texts of our own and, where
//! `WIRE_CORPUS` names the recorded traffic, against the usage that providers
//! reported.

use std::{fs, path::Path};

use leverframe_core::model::{Block, Dialect, Family, MediaSource, Request, Tool};
use leverframe_http::{codec, tokens::Estimator};
use serde_json::Value;

/// Texts of the kinds that callers send. None of them was used to find the rates.
const TEXTS: [(&str, &str); 20] = [
    (
        "English",
        "The ferry left an hour late, so we had time to watch the harbour wake up. Two men in yellow coats were \
         arguing about a rope, and a gull had taken possession of the only bench. Nobody seemed to mind; the \
         captain, who had seen worse mornings, poured himself another cup of coffee and waited for the fog.",
    ),
    (
        "contract",
        "12.3 Notwithstanding Section 12.2, neither party shall be liable for any indirect, incidental or \
         consequential damages arising out of this Agreement, including without limitation loss of profits, \
         except to the extent that such damages result from gross negligence or wilful misconduct.",
    ),
    (
        "German",
        "Die Fähre legte mit einer Stunde Verspätung ab, und so hatten wir genug Zeit, dem Hafen beim Aufwachen \
         zuzusehen. Zwei Männer stritten sich über ein Seil, während eine Möwe die einzige Bank besetzt hielt. \
         Niemand störte sich daran; der Kapitän schenkte sich noch einen Kaffee ein.",
    ),
    (
        "French",
        "Le ferry est parti avec une heure de retard, ce qui nous a laissé le temps de regarder le port se \
         réveiller. Deux hommes se disputaient à propos d'une corde et une mouette occupait l'unique banc. \
         Personne ne s'en souciait vraiment, et le capitaine s'est resservi un café.",
    ),
    (
        "Polish",
        "Prom odpłynął z godzinnym opóźnieniem, więc mieliśmy czas popatrzeć, jak budzi się port. Dwóch mężczyzn \
         w żółtych płaszczach kłóciło się o linę, a mewa zajęła jedyną ławkę. Nikomu to nie przeszkadzało.",
    ),
    (
        "Russian",
        "Паром отошёл с опозданием на час, и у нас было время посмотреть, как просыпается гавань. Двое мужчин в \
         жёлтых плащах спорили из-за каната, а чайка заняла единственную скамейку. Никто не возражал, и капитан \
         налил себе ещё одну чашку кофе.",
    ),
    (
        "Greek",
        "Το πλοίο έφυγε με μία ώρα καθυστέρηση και έτσι είχαμε χρόνο να δούμε το λιμάνι να ξυπνά. Δύο άντρες \
         μάλωναν για ένα σκοινί και ένας γλάρος είχε καταλάβει το μοναδικό παγκάκι της προκυμαίας.",
    ),
    (
        "Arabic",
        "غادرت العبارة متأخرة ساعة كاملة، فكان لدينا وقت لنشاهد الميناء وهو يستيقظ. كان رجلان يتجادلان حول حبل، \
         بينما احتل نورس المقعد الوحيد. لم يعترض أحد، وصب القبطان لنفسه فنجانا آخر من القهوة.",
    ),
    (
        "Hindi",
        "नौका एक घंटे की देरी से चली, इसलिए हमें बंदरगाह को जागते हुए देखने का समय मिल गया। पीले कोट पहने दो आदमी एक \
         रस्सी को लेकर बहस कर रहे थे और एक पक्षी ने अकेली बेंच पर कब्ज़ा कर लिया था।",
    ),
    (
        "Chinese",
        "渡轮晚了一个小时才出发，所以我们有时间看着港口慢慢醒来。两个穿黄色外套的男人为了一根绳子争吵不休，\
         一只海鸥占据了唯一的长椅。没有人在意这些，船长又给自己倒了一杯咖啡，静静等待雾气散去。",
    ),
    (
        "Japanese",
        "フェリーは一時間遅れて出港したので、港が目を覚ます様子を眺める時間がありました。黄色いコートを着た二人の男が\
         ロープのことで言い争い、一羽のカモメがたった一つのベンチを占領していました。誰も気にしていないようでした。",
    ),
    (
        "Korean",
        "여객선이 한 시간 늦게 출발해서 우리는 항구가 깨어나는 모습을 지켜볼 시간이 있었습니다. 노란 외투를 입은 두 \
         남자가 밧줄 때문에 다투고 있었고, 갈매기 한 마리가 하나뿐인 벤치를 차지하고 있었습니다.",
    ),
    (
        "Rust",
        "impl Iterator for Ferry {\n    type Item = Crossing;\n\n    fn next(&mut self) -> Option<Self::Item> {\n        \
         let departure = self.timetable.pop_front()?;\n        if departure.delay() > Duration::from_secs(3600) \
         {\n            self.passengers.iter_mut().for_each(Passenger::drink_coffee);\n        }\n        \
         Some(Crossing { departure, gulls: self.gulls.len() })\n    }\n}\n",
    ),
    (
        "Python",
        "def delayed(crossings, limit=60):\n    \"\"\"Return the crossings that left too late.\"\"\"\n    result = \
         []\n    for crossing in crossings:\n        minutes = (crossing.left - crossing.planned).seconds // \
         60\n        if minutes > limit and not crossing.cancelled:\n            result.append((crossing.name, \
         minutes))\n    return sorted(result, key=lambda pair: pair[1])\n",
    ),
    (
        "JSON",
        r#"{"ferry":{"name":"Aurora","capacity":420,"cargo":false,"stops":[{"port":"Harwich","arrives":"06:30"},
        {"port":"Hook of Holland","arrives":"13:15"}]},"delay_minutes":62,"reason":"dense fog","updated_at":
        "2026-11-22T06:41:09Z","crew":["Okafor","Lindqvist","Tanaka"]}"#,
    ),
    (
        "log",
        "2026-11-22T06:41:09.113Z WARN harbour::radar: 3 contacts lost id=7f3a91c2 range=1204.5m\n\
         2026-11-22T06:41:10.009Z INFO ferry::bridge: departure postponed by 62 min (fog)\n\
         2026-11-22T06:41:12.771Z ERROR ferry::coffee: machine offline, retry in 30s attempt=4/10\n",
    ),
    (
        "Markdown",
        "## Timetable\n\n| Port | Departs | Arrives |\n|---|---:|---:|\n| Harwich | 06:30 | 13:15 |\n| Hook of \
         Holland | 14:15 | 20:00 |\n\n- **Delays** are announced on [the board](https://example.org/board).\n- \
         Bicycles travel *free of charge* after 10 am.\n",
    ),
    (
        "base64",
        "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mNk+M9Qz0AEYBxVSF+FABJADveWkH6oAAAAAElFTkSu\
         QmCCR2lmT0RkaGdBQUFBTlNVaEVVZ0FBQUFvQUFBQUtDQVlBQUFDTk1zKzlBQUFBRlVsRVFWUjQybU5rK005UXowQUVZ",
    ),
    (
        "numbers",
        "1204.5, 1198.25, 1187, 1190.75, 1203, 1211.5, 1220.25, 1218, 1215.75, 1209.5, 1201, 1196.25, 1188.5, \
         1179, 1183.75, 1192, 1199.5, 1207.25, 1214, 1222.75, 1231, 1228.5, 1219.25, 1212, 98, 4100, 77213",
    ),
    (
        "emoji",
        "Morning crew! ☕️🌫️ Ferry is late again 😅 but the gulls are happy 🐦🐦 See you at the pier ⚓️ bring \
         snacks 🥐🍎 and maybe an umbrella ☔️ just in case 👍 #harbourlife 🚢✨🎉",
    ),
];

#[test]
fn texts_of_every_kind_are_within_the_bound() {
    // A model whose vocabulary nobody has: the estimate is used whatever the features.
    let estimator = Estimator::new(Family::OpenAi, "some-model");
    let mut ratios = Vec::new();
    for (kind, text) in TEXTS {
        let exact = bpe_openai::o200k_base().count(text);
        let ratio = estimator.text(text) as f64 / exact as f64;
        println!("{kind:10} {exact:4} tokens, estimate {ratio:.2} of it");
        assert!(exact > 50, "{kind}: too short to say anything");
        assert!((1.0 / 1.6..=1.6).contains(&ratio), "{kind}: {ratio}");
        ratios.push(ratio);
    }
    let near = ratios.iter().filter(|ratio| (0.75..=1.0 / 0.75).contains(*ratio)).count();
    assert!(near * 10 >= ratios.len() * 9, "{near} of {} are within a third", ratios.len());
}

/// One recorded request whose input is all in the request.
struct Case {
    dialect: Dialect,
    group: &'static str,
    estimate: u64,
    reported: u64,
    name: String,
}

impl Case {
    fn ratio(&self) -> f64 {
        self.estimate as f64 / self.reported as f64
    }

    /// Within so many hundredths, or so many tokens.
    fn is_within(&self, percent: u64, tokens: u64) -> bool {
        self.estimate.abs_diff(self.reported) <= tokens.max(self.reported * percent / 100)
    }
}

/// The constants around messages and tools were found with these recordings:
/// this keeps them where they are, and says nothing of requests unlike them.
#[test]
fn recorded_requests_are_within_the_bound() {
    let Some(root) = std::env::var_os("WIRE_CORPUS") else { return };
    let mut cases = Vec::new();
    for (dialect, folder) in [
        (Dialect::Anthropic, "anthropic"),
        (Dialect::Gemini, "gemini"),
        (Dialect::OpenAiChat, "openai_chat"),
        (Dialect::OpenAiResponses, "openai_responses"),
    ] {
        let folder = Path::new(&root).join(folder);
        let entries = fs::read_dir(&folder).expect("the corpus has a folder for each dialect");
        cases.extend(entries.filter_map(|entry| case(dialect, &entry.expect("readable").path())));
    }
    // One request is often recorded several times, streamed and not.
    cases.sort_by_key(|case| (case.group, case.dialect, case.estimate, case.reported));
    cases.dedup_by_key(|case| (case.group, case.dialect, case.estimate, case.reported));
    for (group, percent, tokens, at_least) in
        [("text and media", 25, 10, 90), ("with tools or a schema", 40, 24, 85)]
    {
        let (mut all, mut near) = (0, 0);
        for dialect in Dialect::ALL {
            let these: Vec<_> =
                cases.iter().filter(|case| case.group == group && case.dialect == dialect).collect();
            let within = show(group, dialect, &these, percent, tokens);
            assert!(these.len() >= 10, "{group}, {dialect}: only {} cases", these.len());
            assert!(within * 4 >= these.len() * 3, "{group}, {dialect}: {within} of {}", these.len());
            (all, near) = (all + these.len(), near + within);
        }
        assert!(near * 100 >= all * at_least, "{group}: {near} of {all}");
    }
    // Servers that only speak like a provider add what they like: shown, not held to a bound.
    for dialect in Dialect::ALL {
        let group = "compatible servers";
        let these: Vec<_> =
            cases.iter().filter(|case| case.group == group && case.dialect == dialect).collect();
        show(group, dialect, &these, 25, 10);
    }
}

/// Prints the distribution and what is outside. How many are within.
fn show(group: &str, dialect: Dialect, cases: &[&Case], percent: u64, tokens: u64) -> usize {
    let mut ratios: Vec<f64> = cases.iter().map(|case| case.ratio()).collect();
    ratios.sort_by(f64::total_cmp);
    let at = |percent: usize| ratios.get(ratios.len().saturating_sub(1) * percent / 100).copied();
    let outside: Vec<_> = cases.iter().filter(|case| !case.is_within(percent, tokens)).collect();
    println!(
        "{group}, {dialect}: {} of {} within {percent} % or {tokens}; estimate/reported 5 % {:.2}, 50 % {:.2}, 95 % {:.2}",
        cases.len() - outside.len(),
        cases.len(),
        at(5).unwrap_or(f64::NAN),
        at(50).unwrap_or(f64::NAN),
        at(95).unwrap_or(f64::NAN),
    );
    for case in &outside {
        println!("    {} for {}: {}", case.estimate, case.reported, case.name);
    }
    cases.len() - outside.len()
}

/// Reads a case, if what was counted is in the request.
fn case(dialect: Dialect, folder: &Path) -> Option<Case> {
    let json = |name: &str| -> Option<Value> {
        serde_json::from_str(&fs::read_to_string(folder.join(name)).ok()?).ok()
    };
    let (meta, expected) = (json("meta.json")?, json("expected.json")?);
    let request = codec::read_request(dialect, &fs::read(folder.join("request.json")).ok()?).ok()?.request;
    if meta["request_truncated"] == true || !is_whole(&request) {
        return None;
    }
    let usage = &expected["usage"];
    let input = [&usage["input"], &expected["input_tokens"], &expected["total_tokens"]];
    let mut reported = input.iter().find_map(|count| count.as_u64())?;
    if dialect == Dialect::Anthropic {
        // What was cached is not in its number.
        let cached = |name: &str| usage["raw"][name].as_u64().unwrap_or_default();
        reported += cached("cache_read_input_tokens") + cached("cache_creation_input_tokens");
    }
    let compatible = meta["variant"].as_str().unwrap_or_default().starts_with("compat");
    let group = match (compatible, request.tools.is_empty() && request.output.is_none()) {
        (true, _) => "compatible servers",
        (false, true) => "text and media",
        (false, false) => "with tools or a schema",
    };
    let estimator = Estimator::new(dialect.family(), &request.model);
    Some(Case {
        dialect,
        group,
        estimate: estimator.input(&request),
        reported,
        name: folder.file_name()?.to_string_lossy().into_owned(),
    })
}

/// Whether all that becomes input is in the request and modelled: no tools
/// that the provider runs, no earlier turns it keeps, no files elsewhere, no
/// unpacked PDFs.
fn is_whole(request: &Request) -> bool {
    fn block(given: &Block) -> bool {
        match given {
            Block::Image(media) | Block::Audio(media) => matches!(media.source, MediaSource::Inline(_)),
            Block::Document(_) | Block::Opaque(_) => false,
            Block::ToolResult(result) => result.content.iter().all(block),
            _ => true,
        }
    }
    const ELSEWHERE: [&str; 9] = [
        "cachedContent",
        "container",
        "conversation",
        "functions",
        "mcp_servers",
        "output_config",
        "plugins",
        "previous_response_id",
        "web_search_options",
    ];
    request.tools.iter().all(|tool| matches!(tool, Tool::Function(_)))
        && request.extra.iter().all(|field| !ELSEWHERE.contains(&field.name.as_str()))
        && request.messages.iter().flat_map(|message| &message.content).all(block)
}
