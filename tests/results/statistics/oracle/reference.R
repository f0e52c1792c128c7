# What R says of the data sets in a folder, as JSON: Rscript reference.R FOLDER > reference.json
#
# Each CSV file has the columns experiment, session, replicate and value. A process is one session in one replicate.
# Models, on logarithms, with the process random:
#   plain   y ~ experiment + (1 | process)
#   blocks  y ~ experiment + replicate + (1 | process), replicates as fixed blocks
# Where no process holds two experiments, process and residual are one error, and the model is lm's.

suppressPackageStartupMessages({
  library(lmerTest)
  library(emmeans)
  library(multcomp)
  library(jsonlite)
})

emm_options(lmer.df = "satterthwaite")
PACKAGES <- c("lme4", "lmerTest", "emmeans", "multcomp", "mvtnorm", "numDeriv")
LEVEL <- 0.95
# Equivalence: within 2 % of the reference.
MARGIN <- log(1.02)
SEED <- 14

read_data <- function(file) {
  data <- read.csv(file, colClasses = c(experiment = "character", session = "character"))
  data$experiment <- relevel(factor(data$experiment), ref = "0.0")
  data$process <- interaction(data$session, data$replicate, drop = TRUE)
  data$replicate <- factor(data$replicate)
  data$y <- log(data$value)
  data
}

fit <- function(data, fixed) {
  if (max(table(data$process)) == 1) {
    return(lm(fixed, data))
  }
  # The default tolerance of the optimizer leaves errors of 1e-5 in the variances.
  control <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.2, rhoend = 1e-9))
  lmer(update(fixed, . ~ . + (1 | process)), data, control = control)
}

variances <- function(model) {
  if (inherits(model, "lm")) {
    return(list(process = NULL, residual = sigma(model)^2))
  }
  list(process = as.numeric(VarCorr(model)$process), residual = sigma(model)^2)
}

# Each experiment against the reference, one at a time: Satterthwaite's degrees of freedom, p of the two one-sided tests.
differences <- function(model) {
  pairs <- contrast(emmeans(model, "experiment"), "trt.vs.ctrl", adjust = "none")
  tested <- summary(pairs)
  equivalent <- test(pairs, delta = MARGIN, side = "equivalence", adjust = "none")
  data.frame(
    experiment = levels(model.frame(model)$experiment)[-1],
    difference = tested$estimate,
    standard_error = tested$SE,
    df = tested$df,
    p = tested$p.value,
    equivalence_p = equivalent$p.value
  )
}

# The single-step critical value of all comparisons with the reference: the multivariate t of their correlations.
# It has one number of degrees of freedom: the smallest.
simultaneous <- function(model, data, compared) {
  df <- max(1, round(min(compared$df)))
  set.seed(SEED)
  precise <- GenzBretz(maxpts = 25000, abseps = 1e-3)
  tests <- glht(model, linfct = mcp(experiment = "Dunnett"), df = df)
  correlations <- cov2cor(tests$linfct %*% tests$vcov %*% t(tests$linfct))
  quantile <- if (nrow(correlations) == 1) {
    qt((1 + LEVEL) / 2, df)
  } else {
    mvtnorm::qmvt(LEVEL, df = df, corr = correlations, tail = "both.tails", algorithm = precise)$quantile
  }
  set.seed(SEED)
  adjusted <- summary(tests, test = adjusted("single-step", maxpts = 25000, abseps = 1e-3))
  list(df = df, critical = quantile, adjusted_p = as.numeric(adjusted$test$pvalues))
}

# Sums of squares in sequence (Henderson's method 3). The coefficient of the processes' variance in the expectation of
# theirs is found by synthesis (Hartley 1967): the sum over their indicators of the sum of squares of each, as if it
# were the data.
henderson <- function(data, fixed) {
  if (max(table(data$process)) == 1) {
    table <- anova(lm(fixed, data))
    return(list(residual_ss = table["Residuals", "Sum Sq"], residual_df = table["Residuals", "Df"]))
  }
  with_process <- update(fixed, . ~ . + process)
  table <- anova(lm(with_process, data))
  synthesis <- sapply(levels(data$process), function(level) {
    indicator <- data
    indicator$y <- as.numeric(data$process == level)
    # Indicators have no residual, which anova warns of.
    suppressWarnings(anova(lm(with_process, indicator)))["process", "Sum Sq"]
  })
  list(
    process_ss = table["process", "Sum Sq"],
    process_df = table["process", "Df"],
    coefficient = sum(synthesis),
    residual_ss = table["Residuals", "Sum Sq"],
    residual_df = table["Residuals", "Df"]
  )
}

# Two samples with variances of their own, as two reruns or two setups of unequal scatter are compared.
welch <- function(data) {
  rows <- lapply(levels(data$experiment)[-1], function(name) {
    one <- data$y[data$experiment == name]
    other <- data$y[data$experiment == "0.0"]
    if (min(length(one), length(other)) < 2) return(NULL)
    test <- t.test(one, other)
    above <- t.test(one, other, mu = -MARGIN, alternative = "greater")$p.value
    below <- t.test(one, other, mu = MARGIN, alternative = "less")$p.value
    data.frame(
      experiment = name, difference = mean(one) - mean(other), standard_error = test$stderr,
      df = as.numeric(test$parameter), p = test$p.value, equivalence_p = max(above, below)
    )
  })
  do.call(rbind, rows)
}

# The replicates that both experiments have, in pairs.
paired <- function(data) {
  rows <- lapply(levels(data$experiment)[-1], function(name) {
    both <- merge(data[data$experiment == name, ], data[data$experiment == "0.0", ], by = "replicate")
    if (nrow(both) < 2) return(NULL)
    test <- t.test(both$y.x, both$y.y, paired = TRUE)
    data.frame(
      experiment = name, difference = as.numeric(test$estimate), standard_error = test$stderr,
      df = as.numeric(test$parameter), p = test$p.value
    )
  })
  do.call(rbind, rows)
}

describe <- function(file) {
  data <- read_data(file)
  formulas <- list(plain = y ~ experiment)
  # With one session, a replicate is a process.
  if (length(unique(data$session)) > 1) formulas$blocks <- y ~ experiment + replicate
  models <- lapply(formulas, function(fixed) {
    model <- fit(data, fixed)
    compared <- differences(model)
    list(
      variances = variances(model),
      henderson = henderson(data, fixed),
      differences = compared,
      simultaneous = simultaneous(model, data, compared)
    )
  })
  c(models, list(welch = welch(data), paired = paired(data)))
}

files <- sort(list.files(commandArgs(trailingOnly = TRUE)[1], pattern = "\\.csv$", full.names = TRUE))
said <- lapply(files, describe)
names(said) <- sub("\\.csv$", "", basename(files))
versions <- sapply(PACKAGES, function(package) as.character(packageVersion(package)), simplify = FALSE)
software <- c(list(R = as.character(getRversion())), versions)
cat(toJSON(list(software = software, data_sets = said), auto_unbox = TRUE, digits = 12, null = "null", pretty = TRUE), "\n")
