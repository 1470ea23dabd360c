"""Texts in the manner of web pages, each with sentences that a careful rewriter and an inventive one would write."""

from typing import NamedTuple


class Rewritten(NamedTuple):
    """A text, faithful sentences in other words, and sentences on its topic that it does not support."""

    text: str
    faithful: tuple[str, ...]
    invented: tuple[str, ...]
    woven: tuple[str, ...]
    """Unsupported sentences that are made of the text's words."""


TEXTS = (
    Rewritten(
        """# How to bake a simple sourdough loaf

Feed the starter the evening before and leave it at room temperature overnight. In the morning it should be bubbly and \
smell slightly sour. Mix 500 g of bread flour with 350 ml of lukewarm water and let the dough rest for 40 minutes. \
Then add 100 g of the starter and 10 g of salt, and knead until the dough feels smooth.

Fold the dough four times, once every half hour. Shape it into a ball, place it in a floured basket and chill it in \
the fridge for at least 12 hours. Heat the oven to 240 °C with a cast-iron pot inside. Bake the loaf under the lid for \
25 minutes, remove the lid, and bake it for another 20 minutes until the crust is dark brown. Let the bread cool on a \
rack before cutting it, because the crumb sets while it cools.""",
        (
            "Start the evening before by feeding your starter and letting it sit overnight at room temperature.",
            "By morning the starter should look bubbly and have a slightly sour smell.",
            "Combine 500 g bread flour and 350 ml lukewarm water, then rest the dough for 40 minutes.",
            "After adding the starter (100 g) and the salt (10 g), knead the dough until smooth.",
            "Over the next two hours, fold the dough four times at half-hour intervals.",
            "Shape the dough into a ball and refrigerate it in a floured basket for 12 hours or more.",
            "Preheat the oven to 240 °C, with the cast-iron pot already inside.",
            "Bake for 25 minutes with the lid on and 20 minutes without it, until the crust turns dark brown.",
            "Allow the loaf to cool on a rack before you cut it, since the crumb sets during cooling.",
        ),
        (
            "Rye flour gives a denser loaf with a stronger flavour.",
            "A pinch of sugar speeds up the fermentation of the yeast.",
            "You can freeze the finished bread for up to three months.",
            "Score the top with a razor blade to control how it expands.",
            "Whole-grain dough needs more water than white dough.",
            "Bakers in San Francisco made this style of bread famous.",
            "Spray the walls of the oven with water to create steam.",
        ),
        (
            "Add the salt to the starter the evening before and leave it in the fridge.",
            "Cut the bread while it is warm, because the crust sets in the oven.",
        ),
    ),
    Rewritten(
        """## The Clifton Suspension Bridge

The bridge spans the Avon Gorge and links Clifton in Bristol to Leigh Woods in North Somerset. A merchant, William \
Vick, left money for a stone bridge in his will in 1754. A competition was held in 1829, and the 24-year-old Isambard \
Kingdom Brunel won the second contest with a design for a suspension bridge. Work began in June 1831 but stopped after \
the Bristol riots scared off investors.

Brunel died in 1859 without seeing it finished. William Henry Barlow and John Hawkshaw completed the bridge as a \
memorial, with chains bought from the demolished Hungerford Bridge in London. It opened on 8 December 1864. The deck \
hangs 75 metres above high water and is 214 metres long between the towers. Today some 12,000 vehicles cross it each \
day, and the toll pays for its upkeep.""",
        (
            "The Clifton Suspension Bridge crosses the Avon Gorge, connecting Clifton in Bristol with Leigh Woods.",
            "Its story goes back to 1754, when the merchant William Vick left money in his will for a stone bridge.",
            "Isambard Kingdom Brunel, aged 24, won the second competition with his suspension bridge design.",
            "Construction started in June 1831 and came to a halt when the Bristol riots frightened investors away.",
            "Brunel did not live to see the bridge finished: he died in 1859.",
            "Barlow and Hawkshaw finished it as a memorial, using chains from London's demolished Hungerford Bridge.",
            "The opening took place on December 8, 1864.",
            "Between its towers the deck measures 214 metres, and it hangs 75 metres above high water.",
            "About 12 000 vehicles use it daily, and its upkeep is funded by a toll.",
        ),
        (
            "The towers are built of red sandstone and decorated with Egyptian motifs.",
            "Thousands of spectators watched a procession at the ceremony.",
            "Engineers inspect the iron rods every spring for corrosion.",
            "At night the structure is lit by thousands of lamps.",
            "The first bungee jump in the world took place there.",
            "Cyclists and pedestrians may cross free of charge.",
            "It was listed as a protected monument by the government.",
        ),
        (
            "Brunel bought the chains of the Hungerford Bridge for his first design.",
            "The Bristol merchant William Henry Barlow paid the toll until his death.",
        ),
    ),
    Rewritten(
        """# Installing the command line client

The client runs on Linux, macOS and Windows and needs Python 3.9 or newer. Install it from PyPI:

```
pip install acme-client
```

After the installation, run `acme login` and paste the access token from your account page at \
https://acme.example.com/tokens. The token is stored in the file `~/.acme/config.toml`, which only your user may read. \
To check the connection, run `acme status`; it prints the name of the server and your remaining quota.

If the command is not found, add the folder of Python's scripts to your PATH and open a new terminal. Behind a proxy, \
set the variable HTTPS_PROXY before you log in. Requests time out after 30 seconds by default; the option `--timeout` \
changes this.""",
        (
            "You need Python 3.9 or later; Linux, macOS and Windows are all supported.",
            "Install the client from PyPI with `pip install acme-client`.",
            "Then run `acme login` and paste your access token, which you find at https://acme.example.com/tokens.",
            "Your token is saved to `~/.acme/config.toml`, a file that only your user can read.",
            "Check the connection with `acme status`, which prints the server's name and how much quota remains.",
            "If your shell cannot find the command, add Python's scripts folder to PATH and open a new terminal.",
            "When you are behind a proxy, set HTTPS_PROXY before logging in.",
            "By default, requests time out after 30 seconds, but you can change this with `--timeout`.",
        ),
        (
            "The client can also be installed with Homebrew or Docker.",
            "Two-factor authentication must be enabled for administrators.",
            "Use `acme upgrade` to update to the latest release automatically.",
            "Uploaded datasets are encrypted with a rotating key.",
            "Enterprise customers receive priority support by telephone.",
            "Shell completion is available for bash and zsh.",
            "Log messages are written to the system journal.",
        ),
        (
            "Run `acme status` behind a proxy to store the token in the account page.",
            "The server prints the access token when requests time out.",
        ),
    ),
    Rewritten(
        """### Visiting the park

The park is open daily from 8 am to sunset. Admission is free on the first Sunday of each month; otherwise adults pay \
$6 and children under twelve pay $2. Parking is limited, so visitors are encouraged to take the number 14 bus, which \
stops at the north gate every 20 minutes.

Dogs are welcome on a leash except in the butterfly meadow. Rangers lead guided walks on Saturdays at 10 am, starting \
at the visitor center; no reservation is required. The lake trail is 3.5 miles long and mostly flat. Swimming is not \
allowed because of strong currents near the dam. Campfires are permitted only in the stone rings beside the picnic \
area.""",
        (
            "The park opens every day at 8 am and closes at sunset.",
            "Adults pay $6 and children below twelve pay $2, but on the first Sunday of the month entry is free.",
            "Since parking is limited, consider taking bus number 14, which stops at the north gate every 20 minutes.",
            "You may bring a dog if it is on a leash, but not into the butterfly meadow.",
            "Guided walks led by rangers start at the visitor center on Saturdays at 10 am, without reservation.",
            "The mostly flat lake trail has a length of 3.5 miles.",
            "Swimming is forbidden due to strong currents close to the dam.",
            "Campfires are allowed only in the stone rings next to the picnic area.",
        ),
        (
            "A small museum displays fossils found during construction.",
            "Kayaks can be rented from a kiosk run by volunteers.",
            "The playground was renovated with wooden climbing frames.",
            "Birdwatchers regularly spot ospreys and herons here.",
            "Wheelchairs are available from the staff on request.",
            "Drones may be flown only with a written permit.",
            "The cafe serves sandwiches, soup and local ice cream.",
        ),
        (
            "Rangers at the north gate collect the admission for the lake trail.",
            "Dogs may swim near the dam on Saturdays.",
        ),
    ),
    Rewritten(
        """## Photosynthesis

Plants, algae and some bacteria convert light into chemical energy by photosynthesis. In plants the process takes \
place in chloroplasts, which contain the green pigment chlorophyll. The light-dependent reactions split water, release \
oxygen and store energy in ATP and NADPH. They happen in the thylakoid membranes.

In the stroma, the Calvin cycle uses this energy to fix carbon dioxide into sugars. The enzyme RuBisCO catalyses the \
first step. Because RuBisCO also binds oxygen, plants in hot and dry places lose part of the fixed carbon through \
photorespiration. Maize and sugar cane avoid most of this loss by concentrating carbon dioxide in special cells. \
Photosynthesis absorbs chiefly red and blue light; green light is reflected, which is why leaves look green.""",
        (
            "Photosynthesis is how plants, algae and certain bacteria turn light into chemical energy.",
            "In plants it happens in the chloroplasts, where the green pigment chlorophyll is found.",
            "During the light-dependent reactions in the thylakoid membranes, water is split and oxygen is released.",
            "The energy from these reactions is stored in ATP and NADPH.",
            "The Calvin cycle, which runs in the stroma, uses that energy to fix carbon dioxide into sugar.",
            "Its first step is catalysed by the enzyme RuBisCO.",
            "RuBisCO binds oxygen as well, so plants in hot, dry places lose some fixed carbon to photorespiration.",
            "Maize and sugar cane concentrate carbon dioxide in special cells and so avoid most of the loss.",
            "Leaves look green because green light is reflected, whereas red and blue light is mostly absorbed.",
        ),
        (
            "The process evolved in the oceans more than once.",
            "Respiration in mitochondria is the reverse of these reactions.",
            "Magnesium sits at the centre of every chlorophyll molecule.",
            "Farmers raise yields by adding nitrogen fertiliser to the soil.",
            "Stomata close at night to save water.",
            "Artificial photosynthesis may one day produce hydrogen fuel.",
            "Jan Ingenhousz discovered that plants need sunlight.",
        ),
        (
            "Chlorophyll absorbs the oxygen that RuBisCO releases in the thylakoid membranes.",
            "Bacteria reflect green light to store energy in leaves.",
        ),
    ),
    Rewritten(
        """# Cleaning a bicycle chain

A dirty chain wears out the cassette and wastes power. Clean it about every 200 miles, or after each ride in the rain. \
You need a degreaser, an old toothbrush, two rags and chain lubricant.

- Shift to the smallest sprocket and turn the bike upside down.
- Apply the degreaser to the chain and wait five minutes.
- Scrub each link with the toothbrush while you turn the pedals backwards.
- Rinse with a little water and dry the chain with a rag.
- Put one drop of lubricant on every roller, then wipe off the excess with the second rag.

Never use a pressure washer, because it forces water into the bearings. Measure the wear with a chain checker: replace \
the chain when it has stretched by 0.75 percent.""",
        (
            "A dirty chain wastes power and wears down the cassette.",
            "Clean your chain roughly every 200 miles and after every ride in the rain.",
            "Gather a degreaser, an old toothbrush, two rags and some chain lubricant.",
            "Turn the bicycle upside down after shifting to the smallest sprocket.",
            "Apply degreaser and leave it on the chain for 5 minutes.",
            "Turn the pedals backwards and scrub every link with the toothbrush.",
            "Rinse the chain with a bit of water, and dry it with one of the rags.",
            "Add a drop of lubricant to each roller and wipe away any excess.",
            "Avoid pressure washers, as they force water into the bearings.",
            "Once a chain checker shows a stretch of 0.75 percent, replace the chain.",
        ),
        (
            "Wax-based products stay cleaner in dusty conditions.",
            "Check the brake pads and tyre pressure at the same time.",
            "Wear gloves, because solvents irritate the skin.",
            "A quick link lets you take the chain off without tools.",
            "Most shops charge a modest fee for this service.",
            "Electric bikes put more stress on the drivetrain.",
            "Store the bike indoors to prevent rust on exposed metal.",
        ),
        (
            "Apply the lubricant before the degreaser and rinse the cassette with a pressure washer.",
            "Dry the bearings with the toothbrush after each ride.",
        ),
    ),
    Rewritten(
        """## Grace Hopper

Grace Brewster Murray Hopper was born in New York City on 9 December 1906. She studied mathematics and physics at \
Vassar College and received a doctorate from Yale in 1934. In 1943 she joined the Navy Reserve and was sent to \
Harvard, where she programmed the Mark I computer under Howard Aiken.

In 1949 Hopper moved to the Eckert-Mauchly Computer Corporation in Philadelphia and helped to build UNIVAC I. There \
her team wrote the A-0 system, an early compiler. Many colleagues doubted that a computer could write programs. Her \
later language FLOW-MATIC, with English words as commands, strongly influenced COBOL. Hopper retired from the Navy in \
1986 as a rear admiral, aged 79. She handed out pieces of wire about a foot long to show how far light travels in a \
nanosecond.""",
        (
            "Hopper was born in New York City on December 9, 1906.",
            "She studied physics and mathematics at Vassar College, and in 1934 Yale awarded her a doctorate.",
            "After joining the Navy Reserve in 1943, she was sent to Harvard to program the Mark I under Howard Aiken.",
            "She moved to the Eckert-Mauchly Computer Corporation in 1949, where she helped build UNIVAC I.",
            "Her team there wrote an early compiler, the A-0 system.",
            "Many of her colleagues doubted that computers could write programs.",
            "FLOW-MATIC, which used English words as commands, was a strong influence on COBOL.",
            "When she retired from the Navy in 1986 she was 79 and a rear admiral.",
            "To show how far light travels in one nanosecond, she handed out foot-long pieces of wire.",
        ),
        (
            "Her grandmother encouraged an early interest in geometry.",
            "A moth taped into a logbook made the word bug popular.",
            "She taught evening classes to support younger students.",
            "President Obama honoured her with a medal after her death.",
            "A guided missile destroyer carries her name.",
            "She kept a clock that ran counterclockwise in her office.",
            "Friends described her as impatient with bureaucracy.",
        ),
        (
            "Howard Aiken wrote the COBOL compiler at Harvard with her team.",
            "She received a doctorate from the Navy for the Mark I computer.",
        ),
    ),
    Rewritten(
        """### What is compound interest?

Compound interest is interest that is paid on the original deposit and on the interest already earned. With simple \
interest, a deposit of $1,000 at 5 percent earns $50 every year. With annual compounding, the same deposit grows to \
$1,628.89 after ten years instead of $1,500.

The more often interest is added, the faster the balance grows, although the difference between monthly and daily \
compounding is small. The rule of 72 gives a quick estimate: divide 72 by the interest rate to find the number of \
years in which money doubles. At 6 percent that takes about 12 years. Compounding also works against borrowers: unpaid \
credit card balances grow in the same way, so pay more than the minimum each month. Banks must state the annual \
percentage yield, which includes the effect of compounding.""",
        (
            "Compound interest is paid both on the original deposit and on interest that was earned earlier.",
            "At 5 percent simple interest, $1000 earns $50 per year.",
            "If interest is compounded annually, that deposit grows to $1,628.89 in 10 years rather than $1,500.",
            "The balance grows faster the more frequently interest is added.",
            "There is only a small difference between daily and monthly compounding.",
            "To estimate how many years it takes for money to double, divide 72 by the interest rate.",
            "For example, money doubles in about 12 years at 6 percent.",
            "Borrowers feel the opposite effect, because unpaid credit card balances grow the same way.",
            "So it is wise to pay more than the minimum every month.",
            "The annual percentage yield, which banks have to state, includes the effect of compounding.",
        ),
        (
            "Albert Einstein supposedly called it the eighth wonder of the world.",
            "Inflation reduces the purchasing power of savings over time.",
            "Retirement accounts often carry tax advantages.",
            "Diversify across stocks and bonds to limit risk.",
            "Missed payments may hurt your credit score.",
            "Index funds charge lower fees than managed portfolios.",
            "Some lenders offer a grace period for students.",
        ),
        (
            "Banks pay simple interest on credit card balances each month.",
            "Borrowers divide the minimum by the annual yield to find the deposit.",
        ),
    ),
)

FREE: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        """# How do noise-cancelling headphones work?

Active noise-cancelling headphones have tiny microphones on the outside of each ear cup that listen to the sounds \
around you. A chip inside the headphones analyses the waveform of that sound and creates a second waveform that is its \
exact mirror image. When both are played together, the peaks of one line up with the troughs of the other and they \
cancel each other out. This is called destructive interference.

The technique works best with steady low-pitched sounds such as the drone of an aircraft engine or the hum of an air \
conditioner. Sudden, high-pitched sounds like a baby crying or a dog barking are harder to cancel, because the chip \
has less time to react. That is why most models also rely on thick padding to block high frequencies passively. The \
electronics need power, so a pair usually lasts between 20 and 40 hours on a charge.""",
        (
            "**Listening**: Small microphones on the outside of the ear cups pick up ambient sound.",
            "**Processing**: An onboard chip examines the sound wave and generates an inverted copy of it.",
            "**Cancellation**: When the two waves play at the same time, peaks meet troughs and the noise disappears.",
            "Physicists call this destructive interference.",
            "This approach is most effective against constant, low-frequency noise, like airplane engines.",
            "It struggles with abrupt, high-pitched noises, for instance a crying baby or a barking dog.",
            "To compensate, many models use thick padding that blocks high frequencies passively.",
            "Keep in mind that the electronics require power; expect roughly 20 to 40 hours per charge.",
        ),
    ),
)
"""A text with sentences that say the same in words of the rewriter's choice."""
