//! What a text is made of, counted in one pass.
//!
//! Tokenizers cut a text into words, numbers, punctuation and space first and
//! look for the longest known pieces inside each. How many pieces there are
//! depends on how many such runs there are and how long they are, and on the
//! script: vocabularies know most English words whole, and few characters of
//! other scripts together.

/// How often each kind of run or character occurs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Classes {
    /// Words in Latin letters. A capital after a small letter begins a new
    /// one, as it does for tokenizers.
    pub(super) words: u64,
    /// Letters of words after the sixth.
    pub(super) long: u64,
    /// Capitals after a word's first letter.
    pub(super) capitals: u64,
    /// Latin letters beyond ASCII, and combining marks.
    pub(super) marked: u64,
    /// Digits, in groups of up to three.
    pub(super) groups: u64,
    /// Digits.
    pub(super) digits: u64,
    /// Runs of ASCII punctuation.
    pub(super) points: u64,
    /// Punctuation after a run's first.
    pub(super) more_points: u64,
    /// Runs of white space that have a line break.
    pub(super) breaks: u64,
    /// Those of them that go on after it: the indentation of code.
    pub(super) indents: u64,
    /// Other runs of more than one space.
    pub(super) gaps: u64,
    /// Words in other alphabets: Cyrillic, Greek, Arabic, Hebrew, ...
    pub(super) foreign_words: u64,
    /// Letters of Cyrillic.
    pub(super) cyrillic: u64,
    /// Letters of the other alphabets.
    pub(super) foreign: u64,
    /// Letters and signs of the scripts of India and its neighbours, Thai and
    /// Khmer among them.
    pub(super) indic: u64,
    /// Chinese characters.
    pub(super) han: u64,
    /// Japanese syllables, and full-width forms.
    pub(super) kana: u64,
    /// Korean syllables.
    pub(super) hangul: u64,
    /// All else: emoji, symbols, private characters.
    pub(super) symbols: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Small,
    Capital,
    Digit,
    Point,
    Space,
    Break,
    Cyrillic,
    Foreign,
    Indic,
    Han,
    Kana,
    Hangul,
    Symbol,
    /// Belongs to the character before: variation selectors, joiners.
    Joiner,
}

/// A word or run on its way.
#[derive(Clone, Copy)]
struct Run {
    class: Class,
    length: u64,
    /// A line break that other space followed.
    indented: bool,
}

impl Run {
    const fn new(class: Class) -> Self {
        Self { class, length: 1, indented: false }
    }
}

impl Classes {
    /// Adds a text. Linear in its length; allocates nothing.
    pub(super) fn add(&mut self, text: &str) {
        let mut run = Run { class: Class::Space, length: 0, indented: false };
        for c in text.chars() {
            let (class, marked) = classify(c);
            run = match class {
                Class::Small | Class::Capital => self.letter(run, class, marked),
                Class::Digit => self.digit(run),
                Class::Point => self.point(run),
                Class::Space | Class::Break => self.space(run, class),
                Class::Cyrillic | Class::Foreign => self.foreign(run, class),
                Class::Joiner => {
                    self.marked += 1;
                    run
                }
                Class::Indic => self.single(class, |counts| &mut counts.indic),
                Class::Han => self.single(class, |counts| &mut counts.han),
                Class::Kana => self.single(class, |counts| &mut counts.kana),
                Class::Hangul => self.single(class, |counts| &mut counts.hangul),
                Class::Symbol => self.single(class, |counts| &mut counts.symbols),
            };
        }
    }

    fn letter(&mut self, run: Run, class: Class, marked: bool) -> Run {
        self.marked += u64::from(marked);
        let goes_on = matches!(
            (run.class, class),
            (Class::Small, Class::Small) | (Class::Capital, Class::Small | Class::Capital)
        );
        if !goes_on {
            self.words += 1;
            return Run::new(class);
        }
        let length = run.length + 1;
        self.capitals += u64::from(class == Class::Capital);
        self.long += u64::from(length > 6);
        Run { class, length, indented: false }
    }

    fn digit(&mut self, run: Run) -> Run {
        self.digits += 1;
        let before = if run.class == Class::Digit { run.length } else { 0 };
        self.groups += u64::from(before % 3 == 0);
        Run { class: Class::Digit, length: before + 1, indented: false }
    }

    fn point(&mut self, run: Run) -> Run {
        match run.class {
            Class::Point => self.more_points += 1,
            _ => self.points += 1,
        }
        Run::new(Class::Point)
    }

    /// One space belongs to the word after it.
    fn space(&mut self, run: Run, class: Class) -> Run {
        /// About the longest runs of space in vocabularies.
        const LONGEST: u64 = 16;
        let length = match run.class {
            Class::Space | Class::Break => run.length + 1,
            _ => 1,
        };
        self.gaps += u64::from(length % LONGEST == 0);
        let kind = match (run.class, class) {
            (Class::Break, Class::Space) => {
                self.indents += u64::from(!run.indented);
                return Run { class: Class::Break, length, indented: true };
            }
            (Class::Break, _) => Class::Break,
            (Class::Space, Class::Space) => {
                self.gaps += u64::from(length == 2);
                Class::Space
            }
            (_, Class::Break) => {
                self.breaks += 1;
                Class::Break
            }
            (_, _) => Class::Space,
        };
        Run { class: kind, length, indented: false }
    }

    fn foreign(&mut self, run: Run, class: Class) -> Run {
        match class {
            Class::Cyrillic => self.cyrillic += 1,
            _ => self.foreign += 1,
        }
        self.foreign_words += u64::from(run.class != class);
        Run::new(class)
    }

    fn single(&mut self, class: Class, count: impl FnOnce(&mut Self) -> &mut u64) -> Run {
        *count(self) += 1;
        Run::new(class)
    }
}

/// The class of a character, and whether it is a Latin letter beyond ASCII.
/// Ranges are those of Unicode's blocks.
fn classify(c: char) -> (Class, bool) {
    let class = match c {
        'a'..='z' => Class::Small,
        'A'..='Z' => Class::Capital,
        '0'..='9' => Class::Digit,
        '\n' | '\r' => Class::Break,
        ' ' | '\t' | '\u{a0}' | '\u{b}' | '\u{c}' | '\u{2000}'..='\u{200a}' | '\u{3000}' => Class::Space,
        '!'..='~' => Class::Point,
        // Latin-1 letters to IPA, Latin Extended Additional.
        '\u{c0}'..='\u{2af}' | '\u{1e00}'..='\u{1eff}' => {
            return (if c.is_uppercase() { Class::Capital } else { Class::Small }, true);
        }
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}' => Class::Joiner,
        '\u{400}'..='\u{52f}' => Class::Cyrillic,
        '\u{370}'..='\u{3ff}' | '\u{530}'..='\u{8ff}' | '\u{10a0}'..='\u{10ff}' => Class::Foreign,
        '\u{1f00}'..='\u{1fff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' => Class::Foreign,
        '\u{900}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' => Class::Indic,
        '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7ff}' => Class::Hangul,
        '\u{3001}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff00}'..='\u{ffef}' => Class::Kana,
        '\u{2e80}'..='\u{2fff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => Class::Han,
        // Dashes, quotes, bullets, the ellipsis: punctuation in most languages.
        '\u{a1}'..='\u{bf}' | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' => Class::Point,
        _ => Class::Symbol,
    };
    (class, false)
}
