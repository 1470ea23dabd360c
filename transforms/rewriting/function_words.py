"""English words and phrases that carry no content: function words, talk about the answer, and polite phrases."""

import re

_FUNCTION_WORDS = """
a about above across after again against all almost along already also although always am among an and another any are
around as at away back be because been before being below between both but by can cannot could did do does doing done
down during each either else enough etc even ever every few first for from further get gets getting give gives given
go goes going got had has have having he hence her here hers herself him himself his how however i if in indeed
instead into is it its itself just keep last least less let lets like made make makes making many may maybe me might
more most mr mrs ms dr much must my near need needs neither never next no nor not now of off often on once one only
onto or other others otherwise our ours out over own per perhaps please put quite rather really same several shall she
should since so some something sometimes soon still such take takes taken taking than that the their theirs them
themselves then there therefore these they thing things this those though through throughout thus to together too took
toward towards under unless until up upon us use used uses using usually very via want was way ways we well were what
when whenever where whether which while who whole whom whose why will with within without would yes yet you your yours
yourself don doesn didn isn aren wasn weren won can't don't doesn't didn't isn't aren't wasn't weren't won't wouldn't
shouldn't couldn't hasn't haven't hadn't you'll you're you've it'll they're they'll we'll we're we've i'm i'll i've
additionally finally firstly furthermore generally lastly meanwhile moreover nevertheless overall secondly
specifically typically two three able based become becomes different good great help helps ensure important include
includes including known new simply start starts begin begins various
"""
_TALK = """
answer answers brief conclusion conclude explain explained explanation following follow guide hope hopefully key list
main note notes overview point points question questions short step steps summarize summary sure tip tips warning
example examples quick simple easy detail details information
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
TALK = frozenset(_TALK.split())
"""Words with which an answer describes itself."""

CLAIMLESS = re.compile(
    r"(?i)(?:sure|certainly|of course|absolutely|great question|good question|thank(?:s| you)|you(?:'|\u2019)re welcome"
    r"|hello|hi there|good luck|enjoy|happy \w+|i hope (?:this|that|it) helps|hope (?:this|that|it) helps"
    r"|(?:please )?(?:let me know|feel free)\b[^.!?]{0,120}|if you have any (?:\w+ )?questions\b[^.!?]{0,120})"
    r"[\s.!?,:\u2013\u2014-]*$"
)
LEAD_IN = re.compile(r"(?i)\b(?:here|follow|following|follows|below|these|steps?|this is how|as such)\b")
"""A sentence with one of these words that ends with a colon announces the next lines and makes no claim."""
