"""Figures fitted to the Azure LLM inference traces of 2023; the traces themselves are not here.

Made by ``benchmarks/fit_azure_figures.py``, which says how, from the files

- AzureLLMInferenceTrace_conv.csv (19,366 requests), SHA-256
  2f1e5b666d4e3055fdbba98598ce2ec307767b9064e03e2fa46676dbcc7d0bf8,
- AzureLLMInferenceTrace_code.csv (8,819 requests), SHA-256
  54e9a6d2a4bd06ba1e060304b900abbc74cbea53de96506e60fe5bb4f2277fb6

of https://github.com/Azure/AzurePublicDataset (CC-BY-4.0). How near the fitted arrivals come, as
coefficient of variation of the gaps / dispersion of counts in windows of 1, 10, 60 seconds:

- conversation: trace 1.09 / 1.39, 3.86, 16.14; Markov-modulated 1.04 / 1.25, 3.31, 10.57;
- code: trace 13.15 / 13.19, 71.65, 164.00; Markov-modulated 7.23 / 8.71, 37.87, 49.08;
- Poisson: 1 / 1, 1, 1.

So the code trace is burstier still, over minutes, than two states can say.
"""

from __future__ import annotations

from dataclasses import dataclass

from .arrivals import MarkovModulated
from .lengths import LengthLaw, LogNormal, Quantiles

#: Percentages at which lengths are tabulated: closer together in the tail.
LEVELS = (*range(100), 99.5, 99.8, 99.9, 99.95, 100)

#: Percentages at which outputs given prompts are tabulated.
COARSE = (0, 5, 10, 25, 50, 75, 90, 95, 99, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFigures:
    """Prompt or output lengths of a trace.

    Attributes
    ----------
    mu, sigma : float
        Mean and standard deviation of their logarithms.
    quantiles : tuple of int
        Their quantiles at `LEVELS`, in tokens.
    """

    mu: float
    sigma: float
    quantiles: tuple[int, ...]

    def law(self, name: str) -> LengthLaw:
        """Return the law of these figures that is called ``quantiles`` or ``lognormal``."""
        if name == "lognormal":
            return LogNormal(self.mu, self.sigma)
        return Quantiles(LEVELS, self.quantiles)


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureFigures:
    """What a trace is summed up in.

    Attributes
    ----------
    rate : float
        Mean requests per second.
    modulated : MarkovModulated
        The two-state process of largest likelihood for its arrivals.
    prompt, output : TokenFigures
        Its lengths.
    given_prompt : tuple of tuple of int
        Quantiles of the outputs at `COARSE`, in twenty parts of the prompts with as many requests.
    """

    rate: float
    modulated: MarkovModulated
    prompt: TokenFigures
    output: TokenFigures
    given_prompt: tuple[tuple[int, ...], ...]


# fmt: off
CONVERSATION = AzureFigures(
    rate=5.5301,
    modulated=MarkovModulated(fast=7.063, slow=4.624, leave_fast=0.01622, leave_slow=0.009172),
    prompt=TokenFigures(
        mu=6.6333,
        sigma=0.9852,
        quantiles=(
            2, 29, 91, 161, 181, 181, 191, 197, 201, 203, 207, 212, 222, 242, 317, 372,
            375, 378, 381, 384, 387, 390, 392, 394, 395, 396, 398, 399, 400, 402, 403,
            405, 406, 408, 411, 414, 419, 424, 433, 456, 703, 863, 903, 946, 972, 984,
            994, 1002, 1009, 1014, 1020, 1025, 1031, 1036, 1041, 1045, 1050, 1055, 1060,
            1065, 1071, 1076, 1081, 1086, 1092, 1097, 1102, 1109, 1116, 1122, 1130,
            1139, 1147, 1159, 1171, 1189, 1214, 1249, 1311, 1314, 1315, 1321, 1368,
            1508, 1689, 1876, 2032, 2221, 2401, 2584, 2734, 3291, 4073, 4076, 4079,
            4083, 4086, 4090, 4098, 4142, 4831, 5652, 6179, 6570, 14050,
        ),
    ),
    output=TokenFigures(
        mu=5.0190,
        sigma=0.8590,
        quantiles=(
            7, 16, 24, 32, 38, 41, 44, 47, 49, 52, 54, 57, 59, 62, 64, 67, 69, 71, 73,
            75, 77, 79, 81, 82, 84, 85, 86, 87, 89, 90, 91, 92, 93, 94, 95, 96, 97, 99,
            100, 101, 103, 105, 107, 108, 110, 113, 116, 118, 122, 125, 129, 133, 137,
            141, 145, 151, 156, 161, 163, 169, 177, 182, 190, 202, 216, 217, 237, 371,
            375, 378, 384, 387, 390, 393, 394, 395, 396, 396, 397, 398, 400, 402, 404,
            407, 410, 411, 414, 415, 417, 420, 424, 428, 429, 433, 442, 451, 468, 509,
            540, 601, 643, 917, 954, 1000, 1000,
        ),
    ),
    given_prompt=(
        (11, 12, 16, 97, 136, 176, 208, 223, 319, 1000),
        (47, 73, 89, 142, 170, 211, 217, 217, 267, 1000),
        (14, 14, 18, 18, 79, 148, 183, 217, 219, 436),
        (7, 49, 53, 63, 74, 87, 99, 111, 143, 189),
        (24, 64, 75, 85, 93, 104, 124, 136, 163, 199),
        (43, 80, 83, 90, 99, 114, 135, 147, 174, 200),
        (25, 81, 85, 91, 100, 117, 141, 151, 182, 200),
        (31, 64, 78, 87, 96, 111, 136, 158, 328, 739),
        (10, 45, 65, 89, 160, 403, 431, 465, 596, 921),
        (29, 117, 375, 393, 403, 424, 465, 535, 619, 722),
        (33, 364, 378, 394, 404, 425, 475, 552, 647, 992),
        (44, 373, 379, 395, 408, 429, 478, 535, 937, 1000),
        (31, 371, 378, 394, 410, 429, 501, 563, 647, 1000),
        (28, 138, 375, 393, 405, 429, 499, 572, 668, 1000),
        (29, 74, 142, 391, 404, 427, 500, 561, 648, 992),
        (26, 56, 80, 148, 208, 402, 428, 466, 619, 954),
        (24, 47, 52, 75, 107, 166, 230, 374, 483, 918),
        (15, 41, 48, 66, 88, 116, 146, 164, 201, 458),
        (17, 29, 34, 43, 58, 95, 137, 164, 300, 535),
        (17, 31, 36, 44, 59, 83, 122, 144, 229, 757),
    ),
)

CODE = AzureFigures(
    rate=2.5664,
    modulated=MarkovModulated(fast=11.13, slow=0.0009005, leave_fast=0.2525, leave_slow=0.07567),
    prompt=TokenFigures(
        mu=6.9986,
        sigma=1.3602,
        quantiles=(
            3, 17, 35, 50, 62, 75, 88, 97, 109, 130, 147, 162, 179, 193, 209, 232, 253,
            283, 319, 352, 386, 423, 469, 501, 539, 578, 604, 651, 698, 745, 770, 816,
            848, 880, 908, 939, 969, 997, 1027, 1049, 1075, 1105, 1133, 1174, 1205,
            1261, 1296, 1346, 1377, 1417, 1469, 1500, 1555, 1600, 1642, 1690, 1724,
            1774, 1823, 1873, 1909, 1964, 2024, 2077, 2128, 2164, 2226, 2284, 2329,
            2386, 2433, 2480, 2546, 2615, 2671, 2744, 2804, 2896, 2975, 3066, 3192,
            3294, 3451, 3599, 3714, 3920, 4107, 4320, 4559, 4759, 5188, 5633, 5959,
            6194, 6585, 7303, 7430, 7435, 7436, 7436, 7436, 7436, 7437, 7437, 7437,
        ),
    ),
    output=TokenFigures(
        mu=2.7882,
        sigma=0.8472,
        quantiles=(
            6, 6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 8, 8, 8, 8, 8, 8, 9, 9, 9,
            9, 9, 9, 9, 9, 9, 10, 10, 10, 10, 10, 10, 11, 11, 11, 11, 11, 12, 12, 12,
            12, 12, 13, 13, 13, 13, 13, 13, 14, 14, 14, 14, 15, 15, 15, 16, 16, 16, 17,
            17, 18, 18, 19, 19, 19, 20, 21, 21, 22, 23, 24, 25, 26, 27, 28, 29, 31, 32,
            34, 37, 39, 42, 45, 48, 52, 55, 59, 65, 72, 79, 90, 105, 128, 171, 251, 359,
            670, 825, 885, 1899,
        ),
    ),
    given_prompt=(
        (6, 6, 7, 9, 14, 21, 48, 74, 222, 777),
        (6, 6, 7, 9, 14, 19, 35, 63, 127, 1899),
        (6, 6, 7, 9, 13, 23, 64, 112, 265, 1276),
        (6, 6, 7, 9, 15, 28, 61, 97, 242, 333),
        (6, 6, 7, 9, 15, 29, 67, 114, 261, 307),
        (6, 6, 7, 9, 13, 25, 61, 88, 226, 599),
        (6, 6, 7, 9, 14, 25, 61, 91, 298, 841),
        (6, 6, 7, 9, 13, 21, 45, 72, 159, 638),
        (6, 6, 7, 9, 13, 22, 40, 76, 189, 297),
        (6, 6, 7, 9, 13, 22, 52, 81, 190, 824),
        (6, 6, 7, 9, 13, 29, 60, 97, 249, 822),
        (6, 6, 7, 9, 13, 25, 57, 84, 278, 391),
        (6, 6, 7, 9, 13, 22, 66, 100, 256, 871),
        (6, 6, 7, 9, 12, 20, 37, 71, 199, 831),
        (6, 6, 7, 9, 13, 23, 51, 76, 210, 940),
        (6, 6, 7, 9, 12, 20, 55, 106, 350, 848),
        (6, 6, 7, 9, 13, 25, 69, 118, 397, 928),
        (6, 6, 7, 9, 13, 23, 57, 102, 212, 895),
        (6, 6, 7, 9, 13, 27, 59, 101, 275, 697),
        (6, 6, 7, 9, 13, 24, 50, 77, 143, 405),
    ),
)
# fmt: on
