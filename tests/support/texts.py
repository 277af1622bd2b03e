"""Texts in the public domain: what the tiny tokenizers are trained on and what the tiny poet recites."""

# William Blake, "The Lamb" and "The Tyger" (1789, 1794).
POEM = """\
Tyger Tyger, burning bright,
In the forests of the night;
What immortal hand or eye,
Could frame thy fearful symmetry?
In what distant deeps or skies,
Burnt the fire of thine eyes?
On what wings dare he aspire?
What the hand, dare seize the fire?
And what shoulder, and what art,
Could twist the sinews of thy heart?
And when thy heart began to beat,
What dread hand? and what dread feet?
"""

# Li Bai, "Quiet Night Thought", and Wang Zhihuan, "On the Stork Tower" (8th century), with modern decoration:
# emoji of one code point, of several (skin tone, joiners) and flags.
POEM_ZH = """\
床前明月光，疑是地上霜。🌙
举头望明月，低头思故乡。👩🏽‍🚀
白日依山尽，黄河入海流。🏔️
欲穷千里目，更上一层楼。🇨🇳👨‍👩‍👧
"""

_PROSE = """\
Once upon a time there was a little village at the edge of a great forest. Every morning the people went out to
the fields, and every evening they came home and told each other stories. There was one story which the oldest
of them told better than anyone else, and this is how it began: "Once upon a time, when wishing still helped, there
lived a king whose daughters were all beautiful; but the youngest was so beautiful that the sun itself, which has
seen so much, was astonished whenever it shone in her face."
Hello, how are you today? I am very well, thank you. What would you like to know? Tell me something about the sea.
The weather is fine today. What is the capital of France? The capital of France is Paris. Does money buy happiness?
def add(first, second):
    return first + second

def main():
    for number in range(10):
        print("The number is", number)
你好，世界！今天天气很好。请讲一个故事。从前有一座山，山里有一座庙。😀🎉
"""

CORPUS = [line for text in (POEM, _PROSE, POEM_ZH) for line in text.splitlines() if line]
