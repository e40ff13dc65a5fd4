"""What each fitted estimator keeps, in the language of `_checks.py`.

D is the number of columns, M that of modalities, K that of classes.
"""

FITTED = "n_features_in_: int=D >=1; feature_names_in_?: s(D)"
COMMON = f"{FITTED}; modalities_: layout"
IMPUTER = f"{COMMON}; _seen: b(D); statistics_: f(D) nan"
ENSEMBLE = f"{COMMON}; _seen: b(M); _means: f(D) nan | none"
PATTERNS = """
    _observed: b(*, M); _patterns: b(P, M); n_rows_: i(P) >=0
    estimators_: list[estimator]; patterns_: list[tuple[str]]; scores_: f(P) nan inf
"""
FUSION = f"""
    {COMMON}; _prior: f(O); _network: @Architecture; _scaler: @BlockScaler
    _known: b(M); n_iter_: int >=1; best_iter_: int >=0; loss_curve_: list[num]
    loss_terms_: dict[list]; validation_curve_: none | list[num inf]; _trained: @Trained
"""
ENCODER = """
    n_features_in_: int >=1; feature_names_in_?: s(*); revision_: none | str
    embedding_dim_: int >=1
"""
TREE = f"{FITTED}; tree_: tree; n_outputs_: int >=1; max_features_: int >=1"
FOREST = f"""
    {FITTED}; estimators_: list[estimator(D)]; estimator_: estimator
    n_outputs_: int >=1; _n_samples?: int >=1; _n_samples_bootstrap?: int | none
    _sample_weight?: none | f(*) >=0
    oob_score_?: num; estimators_samples_?: plain
"""
CLASSES = "classes_: x(K)"
FUSION_CLASSIFIER = f"{FUSION}; _multilabel: bool; _y_dtype: dtypename; {CLASSES}"
FUSION_REGRESSOR = f"""
    {FUSION}; _bounds: tuple[num inf]; _y_is_1d: bool; _y_mean: f(O)
    _y_scale: f(O) >0
"""
# The classes of several targets come in a list.
TREE_CLASSES = """
    classes_: x(K) | list[x(*)]; n_classes_: int >=1 | list[int >=1] | i(*) >=1
"""
LINEAR = f"{FITTED}; coef_: f(D) | f(T, D); intercept_: num | f(T)"
SCALER = f"{FITTED}; n_samples_seen_?: num >=0 | i(D) >=0 | f(D) >=0"
ITERATIONS = "n_iter_?: int >=0 | i(*) >=0 | list[int >=0] | none"
MULTI_OUTPUT = f"{FITTED}; estimators_: list[estimator]"
CATEGORIES = f"""
    {FITTED}; categories_: list[x(*) nan]; _infrequent_enabled: bool
    drop_idx_?: plain; _drop_idx_after_grouping?: plain; _n_features_outs?: list[int]
    _missing_indices?: dict[int]; _default_to_infrequent_mappings?: plain
"""
RECORD_SCHEMAS = {
    "Architecture": "module: plain; module_params: dict; criterion: plain; "
    "criterion_params: dict",
    "BlockScaler": """
        layout: layout; mean: f(D) nan; scale: f(D) >0; variance: f(D) nan >=0
        weight: f(D) >=0; column_mean: f(D) nan; column_weight: f(D) >=0
    """,
    "Centers": "values: f(k, D); presence: b(k, M)",
    "FactorParams": """
        units: units; weights: f(k) >=0 <=1; means: f(k, D); loadings: f(D, r)
        noise: f(D) >0; var_means: f(U, k) >=0; cov_cross: f(U, k, r)
        cov_loadings: f(U, r, r)
    """,
    "LevelScores": """
        layout: layout; driver: none | int >=0; scaler: @BlockScaler; mean: f(M)
        deviation: f(M) inf >0
    """,
    "Plan": """
        rates: f(M) >=0 <=1; keep: none | b(p, M); probabilities: none | f(p) >=0 <=1
        exact: bool; intercepts: none | f(M) inf
    """,
    "StratumScores": "what: str; strata: list; table: f(*, M)",
    "TargetScores": "n_modalities: int=M; mean: num; deviation: num >0",
    "TemperatureScores": "temperatures: f(t) >0; errors: f(M, t) >=0; counts: f(M) >=0",
    "Trained": "weights: dict[f(...)]; history: list[dict]; best_epoch: int >=0",
}

SCHEMAS = {
    "skmissing.cluster.PartialModalityKMeans": f"""
        {COMMON}; _n_init: int >=1; _scaler: @BlockScaler; _centers: @Centers
        _counts: f(k, D) >=0; center_presence_: b(k, M); labels_: i(*) >=-1
        inertia_: num >=0; n_iter_: int >=0; n_steps_: int >=0
        cluster_centers_: f(k, D) nan
    """,
    "skmissing.encoders.AudioEncoder": ENCODER,
    "skmissing.encoders.ImageEncoder": ENCODER,
    "skmissing.encoders.TextEncoder": ENCODER,
    "skmissing.encoders.VideoEncoder": ENCODER,
    "skmissing.encoders.SignalEncoder": f"""
        {COMMON}; channels_: anylayout; mean_: f(C) nan; scale_: f(C) >0
        _sizes: tuple; _weights: dict[f(...) | i(...)]; loss_curve_: list[num]
    """,
    "skmissing.ensemble.LateFusionClassifier": f"""
        {ENSEMBLE}; {CLASSES}; _frequencies: f(M, K) >=0; class_prior_: f(K) >=0 <=1
        estimators_: dict[estimator]; modality_weights_: f(M); count_weights_: f(M)
        _averages: bool
    """,
    "skmissing.ensemble.LateFusionRegressor": f"""
        {ENSEMBLE}; _offsets: f(M); target_mean_: num; estimators_: dict[estimator]
        error_variances_: f(M) nan >=0; covariance_?: none | f(*, *) nan
    """,
    "skmissing.ensemble.ModalityDropout": f"{COMMON}; estimator_: estimator",
    "skmissing.ensemble.PatternClassifier": f"""
        {ENSEMBLE}; {CLASSES}; class_prior_: f(K) >=0 <=1; {PATTERNS}
        _frequencies: list[f(K) >=0]
    """,
    "skmissing.ensemble.PatternRegressor": f"""
        {ENSEMBLE}; target_mean_: num; {PATTERNS}
    """,
    "skmissing.fusion.MHSAFusionClassifier": FUSION_CLASSIFIER,
    "skmissing.fusion.MHSAFusionRegressor": FUSION_REGRESSOR,
    "skmissing.fusion.MMPClassifier": FUSION_CLASSIFIER,
    "skmissing.fusion.MMPRegressor": FUSION_REGRESSOR,
    "skmissing.impute.ClusterGuidedImputer": f"""
        {IMPUTER}; _bounds?: tuple[f(D) inf]; _shift?: f(D); clusterer_: estimator(D)
        _strategy: str; n_iter_: int >=0; temperature_?: num >=0
        _temperature_scores?: none | @TemperatureScores
    """,
    "skmissing.impute.MultipleImputationClassifier": f"""
        {FITTED}; modalities_?: layout; imputers_: list[estimator(D)]
        estimators_: list[estimator]; classes_?: x(K)
    """,
    "skmissing.impute.MultipleImputationRegressor": f"""
        {FITTED}; modalities_?: layout; imputers_: list[estimator(D)]
        estimators_: list[estimator]
    """,
    "skmissing.impute.RegressionImputer": f"""
        {IMPUTER}; _scaler: @BlockScaler; _presence: b(n, M); _train: f(n, D)
        estimators_: dict[estimator]
    """,
    "skmissing.impute.RetrievalImputer": f"""
        {IMPUTER}; _scaler: @BlockScaler; n_samples_fit_: int=k >=1; _rows: @Centers
        _lent: f(k, D) nan; _can_lend: b(k, D)
    """,
    "skmissing.mixture.PartialModalityFactorMixture": f"""
        {COMMON}; n_components_: int=k >=1; n_factors_: int=r >=0
        _scaler: @BlockScaler; _params: @FactorParams; shrinkage_: f(*) nan
        std_scale_: f(*) nan >=0; lower_bounds_: list[num inf]; lower_bound_: num inf
        n_iter_: int >=0; converged_: bool; weights_: f(k) >=0 <=1
        means_: f(k, D) nan; loadings_: f(D, r) nan; noise_variance_: f(D) nan >=0
        relevance_: f(M, r) nan
    """,
    "skmissing.simulate.ModalityAmputer": f"""
        {COMMON}; _driver: none | int >=0; _seed: int >=0; _plans: dict[@Plan]
        _scorer: none | @LevelScores | @StratumScores | @TargetScores
        nominal_rates_: dict[num nan]; realized_rates_: dict[num nan]
    """,
    # ------------------------------------------------------------- scikit-learn's
    "sklearn.compose.ColumnTransformer": """
        n_features_in_?: int=D >=1; feature_names_in_?: s(D); transformers_: list
        _columns: list; _transformer_to_input_indices: dict; _remainder: tuple
        sparse_output_: bool; output_indices_: dict; _n_features?: int
        _name_to_fitted_passthrough?: dict; _transformed_names?: plain
    """,
    "sklearn.compose.TransformedTargetRegressor": """
        n_features_in_?: int=D >=1; feature_names_in_?: s(D); _training_dim: int >=1
        transformer_: estimator; regressor_: estimator
    """,
    "sklearn.decomposition.PCA": f"""
        {FITTED}; n_samples_: int >=1; mean_: f(D); noise_variance_: num >=0
        n_components_: int=r >=0; components_: f(r, D); explained_variance_: f(r) >=0
        explained_variance_ratio_: f(r) nan >=0; singular_values_: f(r) >=0
        _fit_svd_solver: str
    """,
    "sklearn.decomposition.TruncatedSVD": f"""
        {FITTED}; components_: f(r, D); explained_variance_: f(r) >=0
        explained_variance_ratio_: f(r) nan; singular_values_: f(r) >=0
    """,
    "sklearn.discriminant_analysis.LinearDiscriminantAnalysis": f"""
        {LINEAR}; {CLASSES}; priors_: f(K) >=0; means_: f(K, D); xbar_?: f(D)
        scalings_?: f(*, *); _n_features_out?: int; _max_components: int
        explained_variance_ratio_?: f(*)
        covariance_?: f(D, D)
    """,
    "sklearn.dummy.DummyClassifier": """
        n_features_in_?: int=D; feature_names_in_?: s(*); _strategy: str
        sparse_output_: bool; n_outputs_: int >=1; classes_: x(*) | list[x(*)]
        n_classes_: int >=1 | list[int >=1]; class_prior_: f(*) >=0 | list[f(*) >=0]
    """,
    "sklearn.dummy.DummyRegressor": """
        n_features_in_?: int=D; feature_names_in_?: s(*); n_outputs_: int=T >=1
        constant_: f(1, T)
    """,
    "sklearn.impute.KNNImputer": f"""
        {FITTED}; indicator_: estimator | none; _fit_X: f(n, D) nan
        _mask_fit_X: b(n, D); _valid_mask: b(D)
    """,
    "sklearn.impute.MissingIndicator": f"""
        {FITTED}; _precomputed: bool; _n_features: int; features_: i(*) >=0
    """,
    "sklearn.impute.SimpleImputer": f"""
        {FITTED}; indicator_: estimator | none; statistics_: x(D) nan
        _fit_dtype: dtype; _fill_dtype?: dtype
    """,
    "sklearn.linear_model.BayesianRidge": f"""
        {LINEAR}; n_iter_: int >=0; alpha_: num; lambda_: num; sigma_: f(*, *)
        scores_?: plain; X_offset_: f(D); X_scale_: f(D)
    """,
    "sklearn.linear_model.ElasticNet": f"""
        {LINEAR}; {ITERATIONS}; dual_gap_: num | f(*)
    """,
    "sklearn.linear_model.LinearRegression": f"""
        {LINEAR}; rank_?: int; singular_?: f(*) >=0
    """,
    "sklearn.linear_model.LogisticRegression": f"{LINEAR}; {CLASSES}; {ITERATIONS}",
    "sklearn.linear_model.Ridge": f"{LINEAR}; {ITERATIONS}; solver_?: str",
    "sklearn.linear_model.RidgeClassifier": f"""
        {LINEAR}; {ITERATIONS}; solver_?: str; _label_binarizer: estimator
        classes_?: x(*)
    """,
    "sklearn.multiclass.OneVsRestClassifier": """
        n_features_in_?: int=D; feature_names_in_?: s(D); label_binarizer_: estimator
        estimators_: list[estimator]; n_classes_?: int; classes_?: x(*)
    """,
    "sklearn.multioutput.MultiOutputClassifier": f"""
        {MULTI_OUTPUT}; classes_: list[x(*)]
    """,
    "sklearn.multioutput.MultiOutputRegressor": MULTI_OUTPUT,
    "sklearn.naive_bayes.GaussianNB": f"""
        {FITTED}; {CLASSES}; theta_: f(K, D); var_: f(K, D) >=0; epsilon_: num
        class_count_: f(K) >=0; class_prior_: f(K) >=0
    """,
    "sklearn.pipeline.FeatureUnion": "feature_names_in_?: s(*)",
    "sklearn.pipeline.Pipeline": "",
    "sklearn.preprocessing.FunctionTransformer": """
        n_features_in_?: int=D >=1; feature_names_in_?: s(D)
    """,
    "sklearn.preprocessing.LabelBinarizer": """
        y_type_: str; sparse_input_: bool; classes_: x(*)
    """,
    "sklearn.preprocessing.LabelEncoder": CLASSES,
    "sklearn.preprocessing.MaxAbsScaler": f"""
        {SCALER}; max_abs_: f(D) nan >=0; scale_: f(D) nan
    """,
    "sklearn.preprocessing.MinMaxScaler": f"""
        {SCALER}; min_: f(D) nan; scale_: f(D) nan; data_min_: f(D) nan
        data_max_: f(D) nan; data_range_: f(D) nan >=0
    """,
    "sklearn.preprocessing.Normalizer": FITTED,
    "sklearn.preprocessing.OneHotEncoder": CATEGORIES,
    "sklearn.preprocessing.OrdinalEncoder": CATEGORIES,
    "sklearn.preprocessing.RobustScaler": f"""
        {FITTED}; center_: f(D) nan | none; scale_: f(D) nan | none
    """,
    "sklearn.preprocessing.StandardScaler": f"""
        {SCALER}; mean_: f(D) nan | none; var_: f(D) nan >=0 | none
        scale_: f(D) nan | none
    """,
    "sklearn.svm.LinearSVC": f"{LINEAR}; {CLASSES}; {ITERATIONS}",
    "sklearn.svm.LinearSVR": f"{LINEAR}; {ITERATIONS}",
}
for _kind in ("Tree", "ExtraTree"):
    _path = f"sklearn.tree.{'Decision' if _kind == 'Tree' else ''}{_kind}"
    SCHEMAS[f"{_path}Classifier"] = f"{TREE}; {TREE_CLASSES}"
    SCHEMAS[f"{_path}Regressor"] = f"{TREE}; n_classes_?: plain"
for _kind in ("RandomForest", "ExtraTrees"):
    SCHEMAS[f"sklearn.ensemble.{_kind}Classifier"] = f"""
        {FOREST}; {TREE_CLASSES}; oob_decision_function_?: f(*, *) nan
    """
    SCHEMAS[f"sklearn.ensemble.{_kind}Regressor"] = f"""
        {FOREST}; oob_prediction_?: plain
    """
SCHEMAS["sklearn.linear_model.Lasso"] = SCHEMAS["sklearn.linear_model.ElasticNet"]
